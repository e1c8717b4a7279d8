"""The run folder: what a training run wrote down, read back without torch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from core import jobs
from core.config import TrainConfig, parse_config
from core.errors import DarkroomError, InputError
from core.files import read_json, read_jsonl, slug, tail_text, write_bytes, write_json
from core.runs.about import clean_tags, write_about
from core.runs.repeat import ENVIRONMENT, environment
from core.workspace import Workspace

CONFIG, MANIFEST, METRICS = "config.json", "manifest.parquet", "metrics.jsonl"
DATA = "data.json"  # the version of the dataset, see `Run.data`
CHECKPOINT, BUNDLE, REPORT = "checkpoint.pt", "bundle", "report.json"
FIRST_BATCH, FIRST_LABELS = "first_batch.png", "first_batch.json"  # what the network saw first: a contact sheet
LOADED = "weights.json"  # what of the starting weights fitted, see `core.training.models.network.Loaded`
EVENTS = "tensorboard"
TIMES = "times.json"  # seconds of each phase


@dataclass(frozen=True)
class Run:
    """One training run. Every property reads the files anew, so that a page always shows what is on disk now."""

    id: str
    folder: Path

    @property
    def config(self) -> TrainConfig:
        """The settings as saved before the worker started; raises `InputError` where they are not valid any more."""
        return parse_config(read_json(self.folder / CONFIG))

    @property
    def status(self) -> jobs.Status:
        return jobs.read_status(self.folder)

    @property
    def created(self) -> float:
        """Seconds since the epoch; 0 for a run whose status file is gone."""
        return self.status.created

    @property
    def bundle(self) -> Path:
        return self.folder / BUNDLE

    @property
    def has_bundle(self) -> bool:
        return (self.bundle / "model.json").is_file()

    def metrics(self) -> list[dict[str, Any]]:
        """One row an epoch, in order."""
        return read_jsonl(self.folder / METRICS)

    def log_tail(self) -> str:
        return tail_text(self.folder / jobs.LOG)

    def report(self) -> dict[str, Any] | None:
        """The evaluation, or None while there is none."""
        return read_json(self.folder / REPORT)

    def data(self) -> dict[str, Any]:
        """What it was trained on, as noted when it was created: dataset_fingerprint, num_edits, num_excluded, leaks.

        Empty for a run of an earlier version of Darkroom.
        """
        return read_json(self.folder / DATA) or {}

    def manifest(self) -> pd.DataFrame:
        """The images of this run with the split it really used."""
        try:
            return pd.read_parquet(self.folder / MANIFEST)
        except (OSError, ValueError) as error:
            raise DarkroomError(f"The manifest of run {self.id} cannot be read ({error}).") from error


def create_run(
    workspace: Workspace,
    config: TrainConfig,
    manifest: pd.DataFrame,
    data: dict[str, Any] | None = None,
    tags: Iterable[str] = (),
) -> Run:
    """A new run folder with everything the worker needs, state queued.

    Args:
        manifest: the images and their split, kept with the run.
        data: which version of the dataset they are, see `Run.data`.
        tags: to begin with, see `core.runs.about.About`.
    """
    tags = clean_tags(tags)
    run = _claim_folder(workspace, config)
    write_bytes(run.folder / MANIFEST, manifest.to_parquet(index=False))
    if data:
        write_json(run.folder / DATA, data)
    if tags:
        write_about(run, tags=tags)
    write_json(run.folder / ENVIRONMENT, environment(config), durable=False)
    jobs.prepare(run.folder)
    write_json(run.folder / CONFIG, config.model_dump())  # last: with it the folder is a run
    return run


def list_runs(workspace: Workspace) -> list[Run]:
    """All runs, newest first; a folder that is still being set up is not one yet."""
    found = [Run(folder.name, folder) for folder in workspace.runs.iterdir() if (folder / CONFIG).is_file()]
    return sorted(found, key=lambda run: (run.created, run.id), reverse=True)


def open_run(workspace: Workspace, run_id: str) -> Run:
    """The run of that id, or at that path.

    Raises:
        InputError: there is none.
    """
    folder = Path(run_id) if "/" in run_id else workspace.run(run_id)
    if not (folder / CONFIG).is_file():
        raise InputError(f"There is no run {run_id!r} in {workspace.runs}.", "List them with: python -m core runs")
    return Run(folder.name, folder.resolve())


def _claim_folder(workspace: Workspace, config: TrainConfig) -> Run:
    """Make the folder; of two runs started in the same second each gets its own, as `mkdir` has one winner."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    while True:
        run_id = f"{stamp}-{slug(config.model.architecture)}-{secrets.token_hex(2)}"
        try:
            workspace.run(run_id).mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise DarkroomError(f"The run folder could not be made: {error}.", "Check the workspace's disk.") from error
        return Run(run_id, workspace.run(run_id))


def summary(run: Run) -> dict[str, Any]:
    """What a list of runs shows, as plain values; a damaged run is listed with what is wrong with it."""
    status = run.status
    row: dict[str, Any] = {
        "run": run.id,
        "state": status.state,
        "message": status.message,
        "created": status.created,
        "folder": str(run.folder),
        "dataset": None,
        "dataset_fingerprint": None,
        "num_edits": None,
        "architecture": None,
        "test_accuracy": None,
        "val_accuracy": None,
    }
    try:
        config = run.config
        row |= {"dataset": config.data.dataset, "architecture": config.model.architecture}
        report, data = run.report() or {}, run.data()
        row |= {key: data.get(key) for key in ("dataset_fingerprint", "num_edits")}
        row |= {key: report.get(key) for key in ("test_accuracy", "val_accuracy")}
    except DarkroomError as error:
        row["message"] = f"{status.message} {error}".strip()
    return row
