"""Looking at images before they are kept: a background job indexes them aside; the user then accepts or discards."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from filelock import FileLock

from core import jobs
from core.data.index import BUILT, REQUEST
from core.data.intake import Source, open_source
from core.data.manifest import MANIFEST
from core.data.sources import Reading
from core.data.stored import IMAGES, Dataset, checked_name, publish, read_dataset, read_described
from core.data.tables import column_names
from core.data.uploads import forget_upload, is_upload
from core.data.walk import TABLE_SUFFIXES, first_images
from core.errors import DarkroomError, InputError
from core.files import read_json, write_json
from core.workspace import Workspace

_EARLIER = "earlier"
_END_WITHIN_S = 10.0


def look_at(ws: Workspace, path: str | Path, reading: Reading | None = None) -> str:
    """Start indexing a folder, table, archive or downloadable set in the background; gives the id for `pending`.

    Nothing is listed or unpacked here: what cannot be a dataset shows in the job's status. A source that is being
    looked at already is not looked at twice: its job goes on. One whose job has ended is looked at anew; files that
    did not change are not read again.

    Args:
        reading: how to read it; if None, as it was read before, else as recognised.

    Raises:
        InputError: at once, where there is no such thing.
    """
    source = open_source(path)
    if source.path and is_upload(ws, source.path):  # where it lies for now is of no interest to anybody
        source = replace(source, text=source.path.name)
    return look_at_source(ws, source, reading)


def look_at_source(ws: Workspace, source: Source, reading: Reading | None = None) -> str:
    """`look_at` for a source that was opened already."""
    with _lock(ws, source.identity):
        folder = ws.pending_dataset(source.identity)
        if folder.exists() and not jobs.read_status(folder).ended:
            return source.identity
        _start(ws, folder, _request(ws, source, reading or _read_before(ws, source.identity)))
    return source.identity


def resume(ws: Workspace, identity: str, reading: Reading | None = None) -> None:
    """Start a look that has ended once more: one that was stopped goes on, one that is corrected is read anew.

    Files that were read already are not read again.

    Args:
        reading: how to read it from now on; if None, as before.

    Raises:
        InputError: there is no such look, or it is still at work.
    """
    with _lock(ws, identity):
        folder = _folder(ws, identity)
        if not jobs.read_status(folder).ended:
            raise InputError("The look at these images has not ended yet.", "Wait for it, or cancel it.")
        request = _read_request(folder)
        if reading is not None:
            request["reading"] = reading.to_dict()
        _start(ws, folder, request)


def stop(ws: Workspace, identity: str) -> None:
    """Ask the job to end; what it has read so far is kept for `resume`."""
    jobs.request_stop(_folder(ws, identity))


def pending(ws: Workspace, identity: str) -> tuple[jobs.Status, Dataset | None]:
    """How far the look at a folder is, and the dataset once its state is `finished`.

    Raises:
        InputError: there is no such look, or it was accepted or discarded.
    """
    folder = _folder(ws, identity)
    status = jobs.read_status(folder)
    return status, read_dataset(folder / BUILT) if status.state == "finished" else None


def looked_at(ws: Workspace, identity: str) -> tuple[str, Reading]:
    """What is being looked at, and how it is to be read."""
    request = _read_request(_folder(ws, identity))
    return request["source"]["text"], Reading.from_dict(request["reading"])


def examples(ws: Workspace, identity: str, number: int = 8) -> tuple[list[str], list[str]]:
    """Paths of a few images of what is being looked at, and its table's columns: what corrections are tried on.

    Quick, whatever the size: from the finished manifest, else from the start of the folder.
    """
    folder = _folder(ws, identity)
    root = _images_so_far(folder)
    dataset = read_dataset(folder / BUILT)
    if dataset is not None:
        paths = pd.read_parquet(dataset.folder / MANIFEST, columns=["path"])["path"]
        steps = sorted({place * len(paths) // number for place in range(number)})
        names = paths.iloc[steps].tolist()
    else:
        names = first_images(root, number) if root.is_dir() else []
    tables = [root] if root.is_file() else _tables(root, dataset)
    return names, column_names(tables[0]) if tables else []


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
        folder = _folder(ws, identity)
        source = _read_request(folder)["source"]
        kept = publish(ws, dataset.folder, name)
        _remove(_set_aside(folder))
    forget_upload(ws, source["path"])
    return kept


def discard(ws: Workspace, identity: str) -> None:
    """End the look at a folder and forget what it found; the images themselves are not touched."""
    with _lock(ws, identity):
        folder = _folder(ws, identity)
        source = (read_json(folder / REQUEST) or {}).get("source") or {}
        _remove(_set_aside(folder))
    forget_upload(ws, source.get("path"))


def _start(ws: Workspace, folder: Path, request: dict[str, Any]) -> None:
    """Start the job in `folder`, where what an earlier one left is of use to it."""
    _end_job(folder)
    folder.mkdir(exist_ok=True)
    built, earlier = folder / BUILT, folder / _EARLIER
    if (built / MANIFEST).exists():
        shutil.rmtree(earlier, ignore_errors=True)
        os.rename(built, earlier)
    if (earlier / MANIFEST).exists():
        request["previous"] = str(earlier)
    write_json(folder / REQUEST, request)
    jobs.prepare(folder, "Starting to read the images.")
    jobs.launch(folder, "core.data.index", str(folder))


def _request(ws: Workspace, source: Source, reading: Reading) -> dict[str, Any]:
    """What the job is to do.

    `source` and `reading` as in `intake.take_in`; `previous`: folder of an earlier manifest, which may not exist;
    `cache`: where downloads are kept.
    """
    raw = asdict(source) | {"path": str(source.path) if source.path else None}
    return {
        "source": raw,
        "reading": reading.to_dict(),
        "previous": str(ws.dataset(source.identity)),
        "cache": str(ws.downloads),
    }


def _read_request(folder: Path) -> dict[str, Any]:
    request = read_json(folder / REQUEST)
    if not request or "source" not in request:
        raise InputError(f"{folder.name} is a look of another version of Darkroom.", "Discard it and look again.")
    return request


def _read_before(ws: Workspace, identity: str) -> Reading:
    try:
        before = read_described(ws.dataset(identity))
        return Reading.from_dict(before.reading if before else None)
    except DarkroomError:  # damaged: it is about to be replaced
        return Reading()


def _images_so_far(folder: Path) -> Path:
    """Where the images of a look are, unpacked or not; a table where the source is one."""
    for place in (folder / BUILT, folder / f"{BUILT}.building", folder / _EARLIER):
        if (place / IMAGES).is_dir():
            return place / IMAGES
    return Path(_read_request(folder)["source"]["path"] or folder / IMAGES)


def _tables(root: Path, dataset: Dataset | None) -> list[Path]:
    places = dict.fromkeys([dataset.root, root] if dataset else [root])
    names = {place: os.listdir(place) if place.is_dir() else [] for place in places}  # of images there may be a million
    return [place / name for place in places for name in sorted(names[place]) if _suffix(name) in TABLE_SUFFIXES]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


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
    identity = jobs.ProcessIdentity(noted["pid"], noted["start_time"]) if noted else None
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
