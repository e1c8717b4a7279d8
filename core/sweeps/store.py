"""A sweep's folder: the question, its images, what became of each trial, and the processes at work on it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from filelock import FileLock
from pydantic import ValidationError

from core import jobs
from core.errors import DarkroomError, InputError
from core.files import read_json, slug, write_bytes, write_json
from core.sweeps.results import TrialRow, row_from
from core.sweeps.spec import Budget, SweepSpec
from core.workspace import Workspace

SPEC, BUDGET, STORAGE, TRIALS = "spec.json", "budget.json", "storage.json", "trials.json"
MANIFEST, DATA = "manifest.parquet", "data.json"
WORKERS, DATABASE = "workers", "optuna.db"
URL = "DARKROOM_SWEEPS"  # environment: the database all studies are kept in, in place of a file in each sweep's folder
TAG = "sweep:"  # begins the tag that every run of a sweep has


@dataclass(frozen=True)
class Sweep:
    """One search. Every property reads the files anew."""

    id: str
    folder: Path

    @property
    def spec(self) -> SweepSpec:
        """Raises `DarkroomError` where the file is damaged."""
        return _read(SweepSpec, self.folder / SPEC)

    @property
    def budget(self) -> Budget:
        """What each process started from here may spend."""
        return _read(Budget, self.folder / BUDGET)

    @property
    def tag(self) -> str:
        """What its runs are tagged with."""
        return TAG + self.id

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        return float((read_json(self.folder / STORAGE) or {}).get("created", 0.0))

    @property
    def is_shared(self) -> bool:
        """Whether its study is in a database that other machines may use too."""
        return bool((read_json(self.folder / STORAGE) or {}).get("shared"))

    def trials(self) -> list[TrialRow]:
        """All trials by number, as last written by a process at work here."""
        return [row_from(raw) for raw in (read_json(self.folder / TRIALS) or {}).get("trials", [])]

    def importance(self) -> dict[str, float]:
        """How much of the spread in score each setting explains, adding up to 1; empty while too few have finished."""
        return dict((read_json(self.folder / TRIALS) or {}).get("importance", {}))

    def manifest(self) -> pd.DataFrame:
        """The images, divided once for all trials."""
        return pd.read_parquet(self.folder / MANIFEST)

    def data(self) -> dict[str, Any]:
        """Which version of the dataset they are, see `core.runs.store.Run.data`."""
        return read_json(self.folder / DATA) or {}

    def workers(self) -> list[Path]:
        """The folders of the processes that work or worked on it from this workspace."""
        folder = self.folder / WORKERS
        return sorted(folder.iterdir()) if folder.is_dir() else []

    @property
    def status(self) -> jobs.Status:
        """Of a process at work where there is one, else of the one heard of last."""
        found = [jobs.read_status(worker) for worker in self.workers()]
        if not found:
            return jobs.Status("stopped", "Nothing works on it from this workspace.")
        return max(found, key=lambda status: (not status.ended, status.heartbeat))

    @property
    def num_at_work(self) -> int:
        """Processes at work on it from this workspace."""
        return sum(not jobs.read_status(worker).ended for worker in self.workers())


def create_sweep(
    workspace: Workspace, name: str, spec: SweepSpec, budget: Budget, manifest: pd.DataFrame, data: dict[str, Any]
) -> Sweep:
    """A new sweep's folder; one that is there already with the same question is given instead, with the new budget.

    Args:
        name: becomes its id, see `core.files.slug`.
        manifest: the images, divided as `spec.base` says.

    Raises:
        InputError: the name is taken by a sweep that asks something else.
    """
    sweep = Sweep(slug(name), workspace.sweep(slug(name)))
    with FileLock(workspace.sweeps / ".lock"):
        if (sweep.folder / SPEC).is_file():
            require_same(sweep.id, sweep.spec, spec)
            set_budget(sweep, budget)
            return sweep
        sweep.folder.mkdir(exist_ok=True)
        write_bytes(sweep.folder / MANIFEST, manifest.to_parquet(index=False))
        write_json(sweep.folder / DATA, data)
        url = os.environ.get(URL, "")
        where = {"shared": bool(url), "where": without_password(url), "created": time.time()}
        write_json(sweep.folder / STORAGE, where)
        set_budget(sweep, budget)
        write_json(sweep.folder / SPEC, spec.model_dump())  # last: with it the folder is a sweep
    return sweep


def require_same(name: str, kept: SweepSpec, asked: SweepSpec) -> None:
    """Raise `InputError` where a sweep of that name asks something else."""
    if kept == asked:
        return
    before, now = kept.model_dump(), asked.model_dump()
    differing = [key for key in before if before[key] != now[key]]
    if differing == ["fingerprint"]:
        raise InputError(
            f"The images of {asked.dataset} are not those that sweep {name!r} began with.",
            "Choose another name for a new sweep.",
        )
    if "base" in differing:
        settings = [path for path, value in before["base"].items() if now["base"].get(path) != value]
        differing = [key for key in differing if key != "base"] + settings
    raise InputError(
        f"There is a sweep {name!r} already, with other {', '.join(differing)}.",
        "Choose another name, or give the name alone to go on with it.",
    )


def set_budget(sweep: Sweep, budget: Budget) -> None:
    """Change what processes at work here, and those started later, may spend."""
    write_json(sweep.folder / BUDGET, budget.model_dump())


def list_sweeps(workspace: Workspace) -> list[Sweep]:
    """All sweeps of the workspace, newest first."""
    found = [Sweep(folder.name, folder) for folder in workspace.sweeps.iterdir() if (folder / SPEC).is_file()]
    return sorted(found, key=lambda sweep: (sweep.created, sweep.id), reverse=True)


def open_sweep(workspace: Workspace, name: str) -> Sweep:
    """The sweep of that name; raises `InputError` where there is none."""
    sweep = Sweep(slug(name), workspace.sweep(slug(name)))
    if not (sweep.folder / SPEC).is_file():
        raise InputError(f"There is no sweep {name!r} in this workspace.", "List them with: python -m core sweeps")
    return sweep


def free_name(workspace: Workspace, wanted: str) -> str:
    """A name like the wanted one that no sweep has."""
    name, number = slug(wanted[:30]), 1
    while workspace.sweep(name).exists():
        number += 1
        name = f"{slug(wanted[:30])}-{number}"
    return name


def storage_url(sweep: Sweep) -> str:
    """Where Optuna keeps the study.

    Raises:
        InputError: the environment names another place than when the sweep was begun.
    """
    url = os.environ.get(URL, "")
    if sweep.is_shared and not url:
        where = (read_json(sweep.folder / STORAGE) or {}).get("where")
        raise InputError(f"Sweep {sweep.id} is kept in {where}.", f"Set {URL} to that database's URL, then go on.")
    if url and not sweep.is_shared:
        raise InputError(
            f"Sweep {sweep.id} was begun in this workspace, but {URL} names a database.",
            f"Unset {URL} to go on with it, or begin another one.",
        )
    return url or f"sqlite:///{sweep.folder / DATABASE}"


def without_password(url: str) -> str:
    """A database's URL as it may be shown and stored."""
    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", "@") if parts.password else url


def write_trials(sweep: Sweep, rows: list[TrialRow], importance: dict[str, float]) -> None:
    """Keep what became of the trials, for pages and the command line."""
    table = {"trials": [asdict(row) for row in rows], "importance": importance}
    write_json(sweep.folder / TRIALS, table, durable=False)


def _read(kind: type[Any], path: Path) -> Any:
    raw = read_json(path)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise DarkroomError(
            f"{path} is damaged ({error.error_count()} faults).", "Delete that sweep's folder."
        ) from error
