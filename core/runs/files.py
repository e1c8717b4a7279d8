"""What is in a run's folder, file by file, and its log searched; for the run's own page."""

from __future__ import annotations

from dataclasses import dataclass

from core import jobs
from core.errors import InputError
from core.runs.store import Run

MOST_FOUND = 500  # lines of a log
_KNOWN = {
    "config.json": "settings",
    "data.json": "version of the dataset, and what of it leaks between splits",
    "environment.json": "software and machine",
    "about.json": "name, note and tags",
    "manifest.parquet": "the images and their split",
    "status.json": "state",
    "process.json": "the process it was started as",
    "metrics.jsonl": "one line an epoch",
    "times.json": "seconds of each phase",
    "log.txt": "what the worker said",
    "checkpoint.pt": "what resuming needs",
    "predictions.parquet": "the answer for each held-out image",
    "report.json": "the evaluation",
    "handover/report.html": "the evaluation as one file to hand over",
    "handover/report.json": "all that is known of the run",
    "handover/report.csv": "every figure of the evaluation",
    "first_batch.png": "the first batch as the network saw it",
    "first_batch.json": "its labels",
    "weights.json": "which starting weights fitted",
    "bundle/model.safetensors": "the weights",
    "bundle/model.json": "classes and preprocessing of the model",
    "bundle/model.onnx": "the model for ONNX Runtime",
}


@dataclass(frozen=True)
class RunFile:
    """A file of a run.

    Attributes:
        path: relative to the run's folder, POSIX.
        what: what it holds; empty where that is not known.
        changed: seconds since the epoch.
    """

    path: str
    what: str
    num_bytes: int
    changed: float


@dataclass(frozen=True)
class Found:
    """Lines of a log that hold what was looked for.

    Attributes:
        lines: (number from 1, text), the last `MOST_FOUND`.
        num_found: how many there are in all.
        num_lines: of the whole log.
    """

    lines: list[tuple[int, str]]
    num_found: int
    num_lines: int


def run_files(run: Run) -> list[RunFile]:
    """All files but locks and what is being written, by path."""
    found = []
    for path in sorted(run.folder.rglob("*")):
        name = path.relative_to(run.folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")) or not path.is_file():
            continue
        try:
            about = path.stat()
        except OSError:  # replaced this instant
            continue
        what = _KNOWN.get(name, "curves for TensorBoard" if name.startswith("tensorboard/") else "")
        found.append(RunFile(name, what, about.st_size, about.st_mtime))
    return found


def read_file(run: Run, path: str) -> bytes:
    """The content of one of `run_files`; raises `InputError` for any other path."""
    if path not in {file.path for file in run_files(run)}:
        raise InputError(f"Run {run.id} has no file {path!r}.", "Choose one of its files.")
    return (run.folder / path).read_bytes()


def search_log(run: Run, text: str) -> Found:
    """Lines of the log that hold `text`, whatever the case; all of them for an empty text."""
    wanted, found, num_found, number = text.lower(), list[tuple[int, str]](), 0, 0
    try:
        with open(run.folder / jobs.LOG, encoding="utf-8", errors="replace") as log:
            for number, line in enumerate(log, start=1):
                if wanted in line.lower():
                    num_found += 1
                    found.append((number, line.rstrip("\n")))
                    if len(found) >= 2 * MOST_FOUND:
                        del found[:MOST_FOUND]
    except FileNotFoundError:
        pass
    return Found(found[-MOST_FOUND:], num_found, number)
