"""Reads every image of a folder into a manifest; `python -m core.data.index FOLDER` does so as a background job."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.checkpoint import FOUND, Checkpoint, facts_table, typed
from core.data.checks import MEASURES_VERSION
from core.data.intake import PHASES, Source, take_in, write_refused
from core.data.manifest import read_manifest, require_two_classes, usable, with_all_columns, write_manifest
from core.data.probe import Facts
from core.data.readers import ReadingStopped, read_files
from core.data.reading_processes import began_reading
from core.data.scores import scored
from core.data.sources import Reading, Recognised, recognise
from core.data.stored import Dataset, dataset_id, describe, folder_name
from core.data.walk import IntakeStopped
from core.errors import DarkroomError, InputError
from core.files import read_json
from core.jobs import StatusWriter, carry_out
from core.wording import count, duration
from core.workspace import Workspace

REQUEST = "request.json"  # what the job is to do; see `core.data.pending._request`
BUILT = "dataset"  # where in its folder the job leaves the finished dataset

Progress = Callable[[int, int], None]  # files done, files in all


class IndexingStopped(DarkroomError):
    """Indexing ended because it was asked to; nothing was stored."""


def build_manifest(
    recognised: Recognised,
    previous: pd.DataFrame | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    checkpoint: Checkpoint | None = None,
    thumbnails: Path | None = None,
) -> pd.DataFrame:
    """Read every file once, decode it completely, and give the manifest: one row a file, in order of `path`.

    A file that cannot be read is a row with `error` set. From 200 files on, several processes read.

    Args:
        previous: an earlier manifest of the same folder. Rows of readable files of the same path, size and
            modification time are taken from it without opening the file.
        on_progress: told now and then how many files are done, and how many there are.
        checkpoint: where what was found is kept in case this is stopped or killed, and was kept when that happened.
        thumbnails: the folder to keep thumbnails in; None where they are to be made when first asked for.

    Raises:
        IndexingStopped: `should_stop` said so.
    """
    report = on_progress or (lambda done, total: None)
    checkpoint = checkpoint or Checkpoint(None)
    paths = recognised.files["path"].tolist()
    known = _unchanged(recognised.root, paths, [checkpoint.earlier(), previous])
    read_before = set(known["path"].tolist())
    unread = [path for path in paths if path not in read_before] if read_before else paths
    num_done, total = len(known), len(paths)
    report(num_done, total)

    def take(some: Sequence[str], facts: Sequence[Facts]) -> None:
        nonlocal num_done
        checkpoint.add(some, facts)
        num_done += len(some)
        report(num_done, total)

    try:
        read_files(recognised.root, unread, take, thumbnails, should_stop)
    except ReadingStopped as stopped:
        checkpoint.flush()
        raise IndexingStopped("Indexing was stopped; nothing was stored. What was read is not read again.") from stopped
    rows = pd.concat([known, checkpoint.table()], ignore_index=True)
    return scored(with_all_columns(typed(recognised.files.merge(rows, on="path", how="left", validate="1:1"))))


def index_into(
    folder: Path,
    root: Path | Recognised,
    previous: Path | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    identity: str | None = None,
    name: str | None = None,
    ws: Workspace | None = None,
) -> Dataset:
    """Recognise and index `root`, or index what was recognised already, and write the dataset's files into `folder`.

    The folder is made if it is missing.

    Args:
        identity, name: the dataset's id and what it is called; by default both come from `root`.
        previous: a folder with an earlier manifest of the same root, if there may be one.
        ws: where thumbnails go, and what was read so far should this be stopped or killed; the default one if None.

    Raises:
        InputError: `root` cannot be a dataset, or not one of its files can be read.
        IndexingStopped: `should_stop` said so.
    """
    began = began_reading()
    recognised = root if isinstance(root, Recognised) else recognise(root)
    ws, identity = ws or Workspace.default(), identity or dataset_id(recognised.root)
    checkpoint = Checkpoint(ws.indexing(identity))
    frame = build_manifest(recognised, _earlier(previous), on_progress, should_stop, checkpoint, ws.thumbnails)
    if usable(frame).empty:
        commonest = frame["error"].value_counts().index[0]
        raise InputError(
            f"None of the {count(len(frame), 'image')} in {recognised.root} can be read. Most often: {commonest}",
            "Check that they are whole image files and that you may read them.",
        )
    require_two_classes(usable(frame)["label"])
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, frame)
    write_refused(folder, recognised)
    name = name or folder_name(recognised.root)
    dataset = describe(folder, identity, name, recognised, frame, time.monotonic() - began)
    checkpoint.remove()
    return dataset


def _unchanged(root: Path, paths: list[str], earlier: Sequence[pd.DataFrame | None]) -> pd.DataFrame:
    """What earlier tables hold of readable files that have not been touched since; the first table goes first.

    What another version of the measures found is not taken over.
    """
    tables = [
        table.loc[table["error"].isna() & (table["measured_by"] == MEASURES_VERSION), FOUND]
        for table in earlier
        if table is not None
    ]
    if not tables:
        return facts_table([], [])
    known = pd.concat(tables, ignore_index=True)
    known = known[known["path"].isin(paths)]
    stats = np.array([_size_and_mtime(f"{root}/{path}") for path in known["path"].tolist()], np.int64).reshape(-1, 2)
    same = (stats[:, 0] == known["num_bytes"].to_numpy()) & (stats[:, 1] == known["mtime_ns"].to_numpy())
    return known[same].drop_duplicates("path")


def _size_and_mtime(path: str) -> tuple[int, int]:
    try:
        about = os.stat(path)
    except OSError:
        return -1, -1
    return about.st_size, about.st_mtime_ns


def _earlier(folder: Path | None) -> pd.DataFrame | None:
    """The manifest in `folder` where there is a sound one; it only saves time, so a damaged one is no loss."""
    try:
        return read_manifest(folder) if folder else None
    except DarkroomError:
        return None


def _work(folder: Path, status: StatusWriter) -> Dataset:
    request = read_json(folder / REQUEST)
    if not request:
        raise DarkroomError(f"{folder} holds no request to index a folder.", "Look at the folder of images again.")
    source = Source(**(request["source"] | {"path": request["source"]["path"] and Path(request["source"]["path"])}))
    began = time.monotonic()
    taken_over: int | None = None  # files not read again; they say nothing of the speed

    def report(done: int, total: int) -> None:
        nonlocal taken_over
        taken_over = done if taken_over is None else taken_over
        rate = (done - taken_over) / max(time.monotonic() - began, 1e-9)
        status.progress(done, total, rate=rate, eta_s=(total - done) / rate if rate else None)

    def preparing(phase: str, done: int, total: int, unit: str) -> None:
        status.progress(done, total, phase=phase, unit=unit, message=PHASES[phase])

    previous = Path(request["previous"]) if request["previous"] else None
    aside = folder / f"{BUILT}.building"
    recognised = take_in(
        source,
        Reading.from_dict(request["reading"]),
        aside,
        previous,
        Path(request["cache"]),
        preparing,
        lambda: status.stop_requested,
    )
    began = time.monotonic()
    status.update(phase="indexing", message="Reading the images.", unit="images", done=0, total=0)
    dataset = index_into(
        aside, recognised, previous, report, lambda: status.stop_requested, source.identity, source.name
    )
    os.rename(aside, folder / BUILT)
    return dataset


def main(folder: Path) -> int:
    """Do what the request in `folder` asks, with the job's status beside it; gives the exit status."""

    def work(status: StatusWriter) -> str:
        dataset = _work(folder, status)
        return f"Indexed in {duration(dataset.seconds)}, {dataset.images_per_s:,.0f} images/s."

    return carry_out(folder, work, (IndexingStopped, IntakeStopped), "Indexing")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
