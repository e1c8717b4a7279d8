"""Looking at a folder before it is kept: a background job indexes it aside; the user then accepts or discards it."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import psutil
from filelock import FileLock

from core import jobs
from core.data.index import BUILT, REQUEST
from core.data.manifest import MANIFEST
from core.data.sources import recognise
from core.data.stored import Dataset, checked_name, dataset_id, publish, read_dataset
from core.errors import DarkroomError, InputError
from core.files import read_json, write_json
from core.workspace import Workspace

_EARLIER = "earlier"
_END_WITHIN_S = 10.0


def look_at(ws: Workspace, path: str | Path) -> str:
    """Start indexing a folder in the background; gives the id to ask `pending` for.

    A folder that is being looked at already is not looked at twice: its job goes on. One whose job has ended is
    indexed anew; files that did not change are not read again.

    Raises:
        InputError: at once, where the folder cannot be a dataset (see `recognise`).
    """
    root = recognise(Path(path)).root
    identity = dataset_id(root)
    folder = ws.pending_dataset(identity)
    with _lock(ws, identity):
        if folder.exists() and not jobs.read_status(folder).ended:
            return identity
        before = _set_aside(folder)
        folder.mkdir()
        previous = ws.dataset(identity)
        if before and (before / BUILT / MANIFEST).exists():
            previous = folder / _EARLIER
            os.rename(before / BUILT, previous)
        _remove(before)
        write_json(folder / REQUEST, {"root": str(root), "previous": str(previous)})
        jobs.prepare(folder, "Starting to read the images.")
        jobs.launch(folder, "core.data.index", str(folder))
    return identity


def pending(ws: Workspace, identity: str) -> tuple[jobs.Status, Dataset | None]:
    """How far the look at a folder is, and the dataset once its state is `finished`.

    Raises:
        InputError: there is no such look, or it was accepted or discarded.
    """
    folder = _folder(ws, identity)
    status = jobs.read_status(folder)
    return status, read_dataset(folder / BUILT) if status.state == "finished" else None


def accept(ws: Workspace, identity: str, name: str | None = None) -> Dataset:
    """Keep the dataset that was looked at.

    Args:
        name: what to call it; if None, what it was called before, or the folder's own name.

    Raises:
        InputError: it is not finished, or the name is empty or too long.
    """
    name = checked_name(name)
    with _lock(ws, identity):
        status, dataset = pending(ws, identity)
        if dataset is None:
            raise InputError(
                f"The look at this folder is {status.state}, not finished, so there is nothing to keep.",
                "Wait for it." if not status.ended else "Look at the folder again.",
            )
        kept = publish(ws, dataset.folder, name)
        _remove(_set_aside(_folder(ws, identity)))
    return kept


def discard(ws: Workspace, identity: str) -> None:
    """End the look at a folder and forget what it found; the images themselves are not touched."""
    with _lock(ws, identity):
        _remove(_set_aside(_folder(ws, identity)))


def _folder(ws: Workspace, identity: str) -> Path:
    folder = ws.pending_dataset(identity)
    if not folder.exists():
        raise InputError(f"No folder is being looked at as {identity}.", "It was kept or discarded; look at it again.")
    return folder


def _lock(ws: Workspace, identity: str) -> FileLock:
    """Two tabs may ask for the same folder in the same instant."""
    return FileLock(ws.pending / f".{ws.pending_dataset(identity).name}.lock")


def _set_aside(folder: Path) -> Path | None:
    """End the job in `folder` and move the folder out of the way in one step; gives its new place."""
    if not folder.exists():
        return None
    _end_job(folder)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    os.rename(folder, aside)
    return aside


def _remove(aside: Path | None) -> None:
    if aside:
        shutil.rmtree(aside, ignore_errors=True)


def _end_job(folder: Path) -> None:
    """Make sure that nobody writes into `folder` any more. The job can be ended anywhere: it leaves no half files."""
    noted = read_json(folder / jobs.PROCESS)
    identity = jobs.ProcessIdentity(**noted) if noted else None
    if identity is None or not identity.is_alive():
        return
    try:
        process = psutil.Process(identity.pid)
        process.terminate()
        process.wait(_END_WITHIN_S)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired as error:
        raise DarkroomError(
            f"The process {identity.pid} that reads {folder.name} does not end.", "It waits for the disk; try later."
        ) from error
