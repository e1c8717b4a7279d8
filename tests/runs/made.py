"""Runs made by the store's own functions, with whatever a worker would have left, but trained by nobody."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from core import jobs
from core.config import build_config
from core.files import append_jsonl, write_json
from core.runs.store import METRICS, REPORT, Run, create_run
from core.workspace import Workspace

IMAGES = pd.DataFrame({"path": ["a.png", "b.png"], "label": ["cat", "dog"], "split": ["train", "test"]})


def made_run(
    workspace: Workspace,
    state: str = "finished",
    val_losses: Iterable[float] = (),
    report: dict[str, Any] | None = None,
    tags: Iterable[str] = (),
    preset: str = "transfer",
    created: float | None = None,
    message: str = "",
    extra: dict[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """A run in this state; `settings` as `optim__epochs=3`."""
    values = {name.replace("__", "."): value for name, value in settings.items()}
    run = create_run(
        workspace, build_config(values, preset), IMAGES, {"dataset_fingerprint": "f1", "num_edits": 2}, tags
    )
    for epoch, loss in enumerate(val_losses, start=1):
        append_jsonl(run.folder / METRICS, {"epoch": epoch, "val_loss": loss, "val_accuracy": 1 - loss, "seconds": 0.5})
    if report is not None:
        write_json(run.folder / REPORT, report)
    now = time.time()
    status = jobs.Status(state, message, created=created or now, heartbeat=created or now, extra=extra or {})  # type: ignore
    write_json(run.folder / jobs.STATUS, asdict(status))
    return run
