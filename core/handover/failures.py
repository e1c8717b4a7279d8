"""The images a run got wrong, with a small picture of each, so that a report shows failures and does not only count."""

from __future__ import annotations

import base64
from typing import Any

import pandas as pd

from core.data.thumbnails import THUMB, thumbnail
from core.errors import DarkroomError
from core.evaluation.predictions import mistakes
from core.runs.store import Run
from core.workspace import Workspace

MOST_SHOWN = 60
MOST_LISTED = 1000


def failures(predictions: pd.DataFrame, most: int = MOST_LISTED) -> dict[str, Any]:
    """The test images answered wrongly, the most confident mistake first.

    Args:
        predictions: of `core.evaluation.predictions.read_predictions`.

    Returns:
        num: of them all; rows: of the first `most` path, label, predicted, confidence (before any temperature), loss.
    """
    wrong = mistakes(predictions)
    rows = wrong[["path", "label", "predicted", "confidence", "loss"]].head(most)
    return {"num": len(wrong), "rows": [_plain(row) for row in rows.to_dict("records")]}


def pictures(run: Run, manifest: pd.DataFrame, paths: list[str]) -> dict[str, str]:
    """Small pictures of some of the run's images as `data:` addresses, by path.

    Without those whose file is gone or was changed since it was indexed: another picture would be a lie.

    Args:
        manifest: the run's own.
    """
    workspace, dataset = Workspace.default(), run.config.data.dataset
    known = manifest[["path", "content_hash"]].drop_duplicates("path").set_index("path")["content_hash"]
    found = {}
    for path in paths:
        try:
            data, kind = thumbnail(workspace, dataset, str(known.get(path, "")), THUMB)
        except DarkroomError:
            continue
        found[path] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return found


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    words = {name: str(row[name]) for name in ("path", "label", "predicted")}
    return words | {name: float(row[name]) for name in ("confidence", "loss")}
