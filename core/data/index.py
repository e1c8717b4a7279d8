"""Reads every image of a folder into a manifest; `python -m core.data.index FOLDER` does so as a background job."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.intake import PHASES, Source, take_in, write_refused
from core.data.manifest import COLUMNS, read_manifest, require_two_classes, usable, with_all_columns, write_manifest
from core.data.probe import Facts
from core.data.readers import ReadingStopped, read_files
from core.data.sources import Reading, Recognised, recognise
from core.data.stored import Dataset, dataset_id, describe, folder_name
from core.data.walk import IntakeStopped
from core.errors import DarkroomError, InputError
from core.files import read_json
from core.jobs import StatusWriter
from core.wording import count, duration

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
) -> pd.DataFrame:
    """Read every file once, decode it completely, and give the manifest: one row a file, in order of `path`.

    A file that cannot be read is a row with `error` set. From 200 files on, several processes read.

    Args:
        previous: an earlier manifest of the same folder. Rows of readable files of the same path, size and
            modification time are taken from it without opening the file.
        on_progress: told now and then how many files are done, and how many there are.

    Raises:
        IndexingStopped: `should_stop` said so.
    """
    report = on_progress or (lambda done, total: None)
    paths = recognised.files["path"].tolist()
    known = _unchanged(recognised.root, paths, previous)
    read_before = set(known["path"].tolist())
    unread = [path for path in paths if path not in read_before]
    num_known, total = len(known), len(paths)
    report(num_known, total)
    try:
        facts = read_files(recognised.root, unread, lambda done: report(num_known + done, total), should_stop)
    except ReadingStopped as stopped:
        raise IndexingStopped("Indexing was stopped; nothing was stored.") from stopped
    fresh = pd.DataFrame(facts, columns=Facts._fields).assign(path=unread)
    rows = pd.concat([known, _typed(fresh)], ignore_index=True)
    return with_all_columns(_typed(recognised.files.merge(rows, on="path", how="left", validate="1:1")))


def index_into(
    folder: Path,
    root: Path | Recognised,
    previous: Path | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    identity: str | None = None,
    name: str | None = None,
) -> Dataset:
    """Recognise and index `root`, or index what was recognised already, and write the dataset's files into `folder`.

    The folder is made if it is missing.

    Args:
        identity, name: the dataset's id and what it is called; by default both come from `root`.
        previous: a folder with an earlier manifest of the same root, if there may be one.

    Raises:
        InputError: `root` cannot be a dataset, or not one of its files can be read.
        IndexingStopped: `should_stop` said so.
    """
    began = time.monotonic()
    recognised = root if isinstance(root, Recognised) else recognise(root)
    frame = build_manifest(recognised, _earlier(previous), on_progress, should_stop)
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
    identity, name = identity or dataset_id(recognised.root), name or folder_name(recognised.root)
    return describe(folder, identity, name, recognised, frame, time.monotonic() - began)


def _unchanged(root: Path, paths: list[str], previous: pd.DataFrame | None) -> pd.DataFrame:
    """What `previous` holds of readable files that have not been touched since."""
    columns = ["path", *Facts._fields]
    if previous is None:
        return _typed(pd.DataFrame({name: [] for name in columns}))
    known, present = usable(previous), set(paths)
    known = known[[path in present for path in known["path"].tolist()]]
    stats = np.array([_size_and_mtime(f"{root}/{path}") for path in known["path"].tolist()], np.int64).reshape(-1, 2)
    same = (stats[:, 0] == known["num_bytes"].to_numpy()) & (stats[:, 1] == known["mtime_ns"].to_numpy())
    return known.loc[same, columns]


def _size_and_mtime(path: str) -> tuple[int, int]:
    try:
        about = os.stat(path)
    except OSError:
        return -1, -1
    return about.st_size, about.st_mtime_ns


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The manifest's columns that are there, in its order and types."""
    kinds = {name: kind for name, kind in COLUMNS.items() if name in frame}
    return frame[list(kinds)].astype(kinds)


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
    exit_status = 0
    with StatusWriter(folder) as status:
        try:
            dataset = _work(folder, status)
            speed = f"{dataset.images_per_s:,.0f} images/s"
            message = f"Indexed in {duration(dataset.seconds)}, {speed}."
            outcome = {"state": "finished", "message": message, "eta_s": 0.0}
        except (IndexingStopped, IntakeStopped) as stopped:
            outcome = {"state": "stopped", "message": str(stopped)}
        except DarkroomError as error:
            outcome, exit_status = {"state": "failed", "message": str(error)}, error.exit_status
        except Exception as error:
            traceback.print_exc()
            outcome = {"state": "failed", "message": f"Indexing failed unexpectedly ({error}); the log says where."}
            exit_status = 1
    status.update(**outcome)  # after the heartbeat's end: the last word, and nothing is written after it
    return exit_status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
