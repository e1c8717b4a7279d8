"""Program: features of a dataset's images, likely wrong labels and a map. `python -m core.training.embed FOLDER`

The folder holds the request (see `core.data.analysis`), the job's status and its results. Features are stored in parts
as they come, by the content of the images, so that a stopped or killed job goes on where it was, and a later one
computes new images only. Torch is imported only to export the backbone, once for each workspace and image size.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from core.config import PreprocessConfig
from core.data.analysis import REQUEST, Summary, write_analysis
from core.data.datasets import Dataset, open_dataset
from core.data.embedding_map import MAX_MAPPED, principal_components, tsne_map
from core.data.label_issues import judge_labels
from core.data.manifest import content_keys, usable
from core.data.neighbours import write_neighbours
from core.errors import DarkroomError, ImageReadError, InputError
from core.files import read_json
from core.jobs import STOP, StatusWriter, carry_out
from core.preprocess import PreprocessSpec, normalise, read_pixels
from core.training.backbone.feature_store import FeatureStore
from core.training.backbone.frozen import BACKBONE, HALF, open_engine
from core.wording import count, duration
from core.workspace import Workspace

SIZE, SMALL_SIZE = 224, 128  # pixels of a side. CIFAR-10's 32 px: 4 times as fast at 128, wrong labels found as well
SMALL_BELOW = 64  # pixels of the longer side of a typical image; photos lose at 160 already (98.8 % to 97.6 %)
BATCH = 16  # see core.training.backbone.features
DECODE_THREADS = 4
STOP_WITHIN_S = 0.2
PART_ROWS, PART_S = 4096, 20.0  # a part is written after so many images or seconds: what a kill can lose

T = TypeVar("T")


class Stopped(Exception):
    """Asked to stop; what was computed is on disk."""

    def __str__(self) -> str:
        return "Stopped; what was computed is kept, and the next one goes on."


def analyse(folder: Path, ws: Workspace, dataset: Dataset, status: StatusWriter) -> Summary:
    """All phases in order: features, labels, map.

    Raises:
        Stopped: asked to.
        DarkroomError: in words for the user.
    """
    began = time.monotonic()
    rows = usable(dataset.manifest())
    fingerprint = dataset.fingerprint
    hashes = content_keys(rows["content_hash"].tolist())
    unique, first = np.unique(hashes, return_index=True)
    spec = spec_for(rows)
    store = FeatureStore(folder / f"features-{BACKBONE}-{spec.hash}")
    todo = first[~np.isin(unique, store.known())]
    todo.sort()
    if len(todo):
        compute(store, ws, dataset.root, rows.iloc[todo], spec, status)
    found, features = store.load(unique)
    if found.sum() < 2:
        raise InputError("Fewer than two of the images can still be read.", "Restore the folder or index it again.")
    _enter(status, "judging", "Judging labels and drawing the map.")
    components = unless_stopped(partial(principal_components, features), status)
    del features
    place_of_content = np.full(len(unique), -1)
    place_of_content[found] = np.arange(int(found.sum()))
    places = place_of_content[np.searchsorted(unique, hashes)]
    kept = rows[places >= 0]
    places = places[places >= 0]
    table = kept[["path", "content_hash", "label"]].reset_index(drop=True)
    table, verdict = unless_stopped(lambda: _with_labels(table, components[places], kept, places), status)
    _enter(status, "mapping", "Drawing the map.")
    arranged = unless_stopped(lambda: tsne_map(components), status)
    for name, coordinates in (("map", arranged), ("pca", components)):
        for axis, letter in enumerate("xy"):
            table[f"{name}_{letter}"] = coordinates[places, axis] if axis < coordinates.shape[1] else np.float32(0)
    write_neighbours(folder, unique[found], components)
    summary = Summary(
        fingerprint=fingerprint,
        at=time.time(),
        num_images=len(table),
        num_left_out=len(rows) - len(table),
        num_computed=len(todo),
        seconds=round(time.monotonic() - began, 2),
        image_size=spec.size,
        num_arranged=min(len(components), MAX_MAPPED),
        versions={"backbone": BACKBONE, "onnxruntime": version("onnxruntime"), "scikit-learn": version("scikit-learn")},
        num_label_issues=int(table["is_label_issue"].sum()),
        **verdict,
    )
    write_analysis(folder, table, summary)
    return summary


def _with_labels(
    table: pd.DataFrame, components: np.ndarray, rows: pd.DataFrame, contents: np.ndarray
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The table with what was found of the labels, and that of all labels together."""
    codes, classes = pd.factorize(table["label"], sort=True)
    near = rows["near_group"].to_numpy()
    # Copies of the same bytes stay together in any case; near groups contain them where there are any.
    groups = np.where(near >= 0, near.astype(np.int64), near.max(initial=-1) + 1 + contents)
    try:
        found = judge_labels(components, codes, groups)
    except InputError as refused:
        table["label_issue_score"] = table["suggested_probability"] = np.float32(np.nan)
        table["is_label_issue"], table["suggested_label"] = False, pd.Series(None, table.index, dtype="str")
        return table, {"accuracy": None, "noise": None, "no_labels_because": refused.message}
    table["label_issue_score"], table["is_label_issue"] = found.score, found.is_issue
    table["suggested_label"] = pd.Categorical.from_codes(found.suggested, classes).astype("str")
    table.loc[found.suggested < 0, "suggested_label"] = None
    table["suggested_probability"] = found.probability
    return table, {"accuracy": found.accuracy, "noise": found.noise, "no_labels_because": ""}


def spec_for(rows: pd.DataFrame) -> PreprocessSpec:
    """How images are brought to the network: small where most of them are tiny."""
    longer = rows[["width", "height"]].max(axis=1)
    size = SMALL_SIZE if longer.median() <= SMALL_BELOW else SIZE
    return PreprocessSpec(size, PreprocessConfig().resize, "bicubic", HALF, HALF)


def compute(
    store: FeatureStore, ws: Workspace, root: Path, rows: pd.DataFrame, spec: PreprocessSpec, status: StatusWriter
) -> None:
    """Features of these images into the store, a part at a time; files that are gone or changed are passed over."""
    _enter(status, "preparing", "Preparing the network that compares images.")
    engine = unless_stopped(lambda: open_engine(ws, root, rows["path"].tolist(), spec), status)
    _enter(status, "features", "Computing what each image looks like.")
    hashes = content_keys(rows["content_hash"].tolist())
    began = written = time.monotonic()
    total, waiting, num_waiting = len(rows), [], 0

    def flush() -> None:
        nonlocal waiting, num_waiting, written
        if waiting:
            store.add(*(np.concatenate(column) for column in zip(*waiting, strict=True)))
        waiting, num_waiting, written = [], 0, time.monotonic()

    for done, which, pixels in _decoded(root, rows, spec):
        if status.stop_requested:
            flush()
            raise Stopped
        if len(which):
            waiting.append((hashes[which], engine(normalise(pixels, spec)).astype(np.float16)))
            num_waiting += len(which)
        if num_waiting >= PART_ROWS or time.monotonic() - written >= PART_S:
            flush()
        rate = done / max(time.monotonic() - began, 1e-9)
        status.progress(done, total, unit="images", rate=rate, eta_s=(total - done) / max(rate, 1e-9))
    flush()


def _decoded(root: Path, rows: pd.DataFrame, spec: PreprocessSpec) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Batches in order: images done so far, which of `rows` could be read, their pixels; decoded ahead in threads."""
    files = list(zip(rows["path"], rows["num_bytes"], rows["mtime_ns"], strict=True))

    def read(place: int) -> np.ndarray | None:
        path, num_bytes, mtime_ns = files[place]
        try:
            about = os.stat(root / path)
            if (about.st_size, about.st_mtime_ns) != (num_bytes, mtime_ns):
                return None
            return read_pixels(root / path, spec)
        except (OSError, ImageReadError):
            return None

    def gathered(first: int, batch: list[Future[np.ndarray | None]]) -> tuple[int, np.ndarray, np.ndarray]:
        images = [future.result() for future in batch]
        which = [first + place for place, image in enumerate(images) if image is not None]
        whole = [image for image in images if image is not None]
        return first + len(batch), np.array(which, np.int64), np.stack(whole) if whole else np.empty(0)

    ahead: deque[tuple[int, list[Future[np.ndarray | None]]]] = deque()
    with ThreadPoolExecutor(DECODE_THREADS) as pool:
        for start in range(0, len(files), BATCH):
            ahead.append((start, [pool.submit(read, i) for i in range(start, min(start + BATCH, len(files)))]))
            if len(ahead) > 2:
                yield gathered(*ahead.popleft())
        while ahead:
            yield gathered(*ahead.popleft())


def unless_stopped(work: Callable[[], T], status: StatusWriter) -> T:
    """What `work` gives; it takes long and cannot be asked to stop, so when that is asked it is left behind.

    Raises:
        Stopped: asked to. The work goes on in its thread until the process ends, which `main`'s caller sees to.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="long-work", daemon=True).start()
    while not done.done():
        if status.stop_requested:
            raise Stopped
        wait([done], STOP_WITHIN_S)
    return done.result()


def _enter(status: StatusWriter, phase: str, message: str) -> None:
    status.update(phase=phase, message=message, done=0, total=0, unit="images", rate=0.0, eta_s=None)
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def _work(folder: Path, status: StatusWriter) -> Summary:
    request = read_json(folder / REQUEST)
    if not request:
        raise DarkroomError(f"{folder} holds no request to analyse a dataset.", "Start the analysis again.")
    ws = Workspace(Path(request["home"]))
    return analyse(folder, ws, open_dataset(ws, request["dataset"]), status)


def main(folder: Path) -> int:
    """Do what the request in `folder` asks, with the job's status beside it; gives the exit status."""
    # SIGTERM (a service manager, a shutdown) means the same as the Cancel button.
    signal.signal(signal.SIGTERM, lambda *_: (folder / STOP).touch())
    # Threads that spin while they wait made t-SNE ten times slower on a machine with other work; read when the first
    # library with OpenMP is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return carry_out(folder, lambda status: in_words(_work(folder, status)), (Stopped,), "The analysis")


def in_words(summary: Summary) -> str:
    """How it went, in a sentence or two."""
    done = f"Analysed {count(summary.num_images, 'image')} in {duration(summary.seconds)}."
    return f"{done} {summary.no_labels_because}".strip()


if __name__ == "__main__":
    exit_status = main(Path(sys.argv[1]).resolve())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_status)  # at once, whatever long work was left behind
