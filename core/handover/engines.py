"""How fast a run's model answers on this machine by each way there is to run it, as a job:
`python -m core.handover.engines RUN_FOLDER`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.data.stored import open_dataset
from core.errors import DarkroomError, ImageReadError
from core.evaluation.predictions import read_predictions
from core.evaluation.side_jobs import SideJob, meter
from core.exports.exported import list_exports, open_export
from core.inference.bundle import Bundle, read_bundle
from core.inference.classifier import Forward, onnx_forward
from core.inference.speed import BATCH, SECONDS, Speed, measure_both
from core.jobs import StatusWriter
from core.onnx_runtime import num_cores
from core.preprocess import PreprocessSpec, normalise, read_pixels
from core.runs.store import Run
from core.wording import count, significant
from core.workspace import Workspace

SPEED = SideJob("speed", "core.handover.engines", "Measuring the speed")
TORCH, ONNX = "torch", "onnx"


@dataclass(frozen=True)
class Engine:
    """One way to run the model.

    Attributes:
        key: `torch`, `onnx`, or `export:` and the key of an export's format.
        title: for people.
        num_bytes: of the model's file or folder.
        open: loads it; slow, and raises where its runtime is missing.
    """

    key: str
    title: str
    num_bytes: int
    open: Callable[[], Forward]


def engines(run: Run) -> list[Engine]:
    """All ways to run the model that there are for this run: its weights, its graph, and what it was exported to.

    Raises:
        DarkroomError: it has no model.
    """
    bundle = read_bundle(run.bundle)
    found = [Engine(TORCH, "PyTorch", _size(bundle.weights), lambda: _weights(bundle))]
    if (graph := bundle.onnx) is not None:
        found.append(Engine(ONNX, "ONNX Runtime", _size(graph), lambda: onnx_forward(graph)))
    for one in list_exports(run):
        if one.ready:
            size = _size(one.folder / one.format.model)
            opener = partial(open_export, one, num_cores())
            found.append(Engine(f"export:{one.format.key}", f"{one.format.name} export", size, opener))
    return found


def measure_engines(
    run: Run, on_progress: Callable[[int, int], None] = lambda done, total: None, seconds: float = SECONDS
) -> dict[str, Any]:
    """Time every engine with one image and with `BATCH` images a call, one after the other.

    Args:
        on_progress: called with engines done and engines in all; may raise to end it.
        seconds: for each engine and batch size.

    Returns:
        made: when, seconds since the epoch; threads; load: how many processes were computing just before (the mean of
        the last minute), None where the system does not say; images: `test images`, or `noise` where those are not to
        be had; decode_ms: median milliseconds to read and fit one image, None for noise; engines: rows of key, title,
        num_bytes, speeds (fields of `Speed`, for 1 and for `BATCH` images) and problem (why it could not be timed,
        else empty); sentence.

    Raises:
        DarkroomError: the run has no model.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    spec = read_bundle(run.bundle).spec
    pixels, decode_ms = _pixels(run, spec)
    images = normalise(pixels, spec)
    rows = []
    wanted = engines(run)
    for number, engine in enumerate(wanted):
        on_progress(number, len(wanted))
        row = {"key": engine.key, "title": engine.title, "num_bytes": engine.num_bytes, "speeds": [], "problem": ""}
        try:
            timed = measure_both(engine.open(), images, num_cores(), seconds)
            row["speeds"] = [asdict(one) for one in timed]
        except Exception as error:  # runtimes fail in countless ways, and one that does must not hide the others
            row["problem"] = f"{type(error).__name__}: {error}"
        rows.append(row)
    on_progress(len(wanted), len(wanted))
    return {
        "made": time.time(),
        "threads": num_cores(),
        "load": load,
        "images": "noise" if decode_ms is None else "test images",
        "decode_ms": decode_ms,
        "engines": rows,
        "sentence": _sentence(rows),
    }


def main(run_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        status.update(phase="timing", message="Timing each way to run the model.")
        found = measure_engines(run, meter(status, "engines"), float(request.get("seconds", SECONDS)))
        return found["sentence"], found

    return SPEED.carry_out(run, work)


def speeds_of(row: dict[str, Any]) -> list[Speed]:
    """The measurements of a row of `measure_engines`, as they were made."""
    return [Speed(**one) for one in row["speeds"]]


def _weights(bundle: Bundle) -> Forward:
    import torch

    from core.inference.export import torch_forward

    torch.set_num_threads(num_cores())
    return torch_forward(bundle)


def _pixels(run: Run, spec: PreprocessSpec) -> tuple[np.ndarray, float | None]:
    """Test images as the network takes them, and the median milliseconds one took to read; noise where there are none.

    A network takes as long for noise.
    """
    try:
        answers = read_predictions(run.folder)
        root = open_dataset(Workspace.default(), run.config.data.dataset).root
        paths = [] if answers is None else answers.loc[answers["split"] == "test", "path"].tolist()
    except DarkroomError:
        paths = []
    read, taken = [], []
    for place in np.linspace(0, len(paths) - 1, min(BATCH, len(paths))).round().astype(int):
        began = time.perf_counter()
        try:
            read.append(read_pixels(root / paths[place], spec))
            taken.append(time.perf_counter() - began)
        except ImageReadError:
            continue
    if not read:
        return np.random.default_rng(0).integers(0, 256, (BATCH, spec.size, spec.size, 3)).astype(np.uint8), None
    return np.stack(read), 1000 * float(np.median(taken))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _sentence(rows: list[dict[str, Any]]) -> str:
    timed = [row for row in rows if row["speeds"]]
    if not timed:
        return "None of the ways to run the model works on this machine."
    fastest = max(timed, key=lambda row: row["speeds"][1]["images_per_s"])
    quickest = min(timed, key=lambda row: row["speeds"][0]["latency_ms_p50"])
    single = f"{significant(quickest['speeds'][0]['latency_ms_p50'])} ms"
    batch = f"{count(round(fastest['speeds'][1]['images_per_s']))} images a second in batches of {BATCH}"
    if fastest is quickest:
        return f"{fastest['title']} is the fastest: {single} for one image, {batch}."
    return f"For one image {quickest['title']} is the fastest, {single}; for many {fastest['title']}, {batch}."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
