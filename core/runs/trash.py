"""Deleting runs: a rename into the trash, undone by a rename back, until the disk is given back for good."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core import jobs
from core.errors import DarkroomError, InputError
from core.runs.store import Run, list_runs, open_run
from core.wording import count
from core.workspace import Workspace

KEEP_S = 600.0  # how long a deletion can be undone
_GOING = ".going-"  # begins the name of what is being removed for good, which no undo finds any more


@dataclass(frozen=True)
class Deleted:
    """A run in the trash.

    Attributes:
        deleted: when, seconds since the epoch.
        folder: where it is now.
    """

    run_id: str
    deleted: float
    folder: Path

    @property
    def goes_at(self) -> float:
        """When it is removed for good at the earliest, seconds since the epoch."""
        return self.deleted + KEEP_S


def delete_runs(workspace: Workspace, run_ids: Sequence[str]) -> list[Deleted]:
    """Put runs into the trash, all of them or none.

    Raises:
        InputError: one is at work or waits, is needed by one that is, or is not there.
        DarkroomError: a folder could not be moved; those moved before it were put back.
    """
    runs = [open_run(workspace, run_id) for run_id in dict.fromkeys(run_ids)]
    if elsewhere := [run.id for run in runs if run.folder.parent != workspace.runs.resolve()]:
        raise InputError(f"{', '.join(elsewhere)} is not in {workspace.runs}.", "Remove that folder by hand.")
    _require_at_rest(workspace, runs)
    now_ms = time.time_ns() // 1_000_000
    moved: list[Deleted] = []
    try:
        for run in runs:
            entry = Deleted(run.id, now_ms / 1000, workspace.trash / f"{now_ms}-{run.id}")
            _move_aside(run, entry.folder)
            moved.append(entry)
    except DarkroomError:
        restore_runs(workspace, [entry.run_id for entry in moved])
        raise
    return moved


def restore_runs(workspace: Workspace, run_ids: Sequence[str]) -> list[Run]:
    """Undo deletions.

    Raises:
        InputError: one is not in the trash any more; the others are back.
    """
    there = {entry.run_id: entry for entry in deleted_runs(workspace)}
    restored, missing = [], []
    for run_id in dict.fromkeys(run_ids):
        home = workspace.run(run_id)
        try:
            if home.exists():
                raise FileExistsError(home)
            os.rename(there[run_id].folder, home)
        except (KeyError, OSError):
            missing.append(run_id)
        else:
            restored.append(Run(run_id, home))
    if missing:
        raise InputError(
            f"{', '.join(missing)} cannot be brought back: removed for good, or undone elsewhere already.",
            "Reload the page to see which runs there are.",
        )
    return restored


def deleted_runs(workspace: Workspace) -> list[Deleted]:
    """What is in the trash and can be brought back, last deleted first."""
    found = []
    for folder in workspace.trash.iterdir():
        when, _, run_id = folder.name.partition("-")
        if when.isdecimal() and run_id:
            found.append(Deleted(run_id, int(when) / 1000, folder))
    return sorted(found, key=lambda entry: (entry.deleted, entry.run_id), reverse=True)


def purge(workspace: Workspace, older_than_s: float = KEEP_S) -> int:
    """Remove for good what was deleted longer ago; returns how many runs that were.

    Raises:
        DarkroomError: files are in the way of somebody else's rights; the rest is gone.
    """
    due = [entry for entry in deleted_runs(workspace) if time.time() - entry.deleted >= older_than_s]
    for entry in due:
        try:  # under another name first: an undo must never bring back half a run
            os.rename(entry.folder, entry.folder.with_name(_GOING + entry.folder.name))
        except FileNotFoundError:
            continue  # another process was first, with this or with an undo
    left = []
    for folder in workspace.trash.glob(f"{_GOING}*"):  # those of a process that was killed meanwhile too
        shutil.rmtree(folder, ignore_errors=True)
        left += [folder] if folder.exists() else []
    if left:
        raise DarkroomError(
            f"{count(len(left), 'deleted run')} could not be removed from {workspace.trash}.",
            "Check the folder's permissions, or remove it by hand.",
        )
    return len(due)


def _move_aside(run: Run, target: Path) -> None:
    """Rename the folder while holding the job's lock, so that no worker begins in it meanwhile."""
    try:
        with FileLock(run.folder / jobs.LOCK, timeout=0):
            os.rename(run.folder, target)
    except Timeout as held:
        raise InputError(f"A process is at work in {run.id}.", "Stop it first.") from held
    except OSError as error:
        raise DarkroomError(f"{run.id} could not be deleted: {error.strerror or error}.") from error


def _require_at_rest(workspace: Workspace, runs: Sequence[Run]) -> None:
    wanted = {run.id for run in runs}
    at_work = []
    for other in list_runs(workspace):
        if other.status.state in jobs.ENDED:
            continue
        if other.id in wanted:
            at_work.append(other.id)
        elif other.config.model.weights == "run" and other.config.model.weights_from in wanted:
            raise InputError(
                f"{other.id} is {other.status.state} and starts from the weights of {other.config.model.weights_from}.",
                "Wait for it or cancel it, then delete.",
            )
    if at_work:
        verb = "is" if len(at_work) == 1 else "are"
        raise InputError(
            f"{', '.join(at_work)} {verb} at work or waiting.", "Stop or cancel what is not at rest, then delete."
        )
