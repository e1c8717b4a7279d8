"""Accuracy on spoiled test images, as a job: `python -m core.evaluation.robustness RUN_FOLDER`.

Every corruption at every severity is asked of the same images, so that the figures differ by what was done to them and
by nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.stored import open_dataset
from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from core.evaluation.metrics import wilson_interval
from core.evaluation.predictions import read_predictions
from core.evaluation.side_jobs import SideJob, meter
from core.inference.bundle import read_bundle
from core.inference.classifier import Classifier, open_classifier
from core.jobs import StatusWriter
from core.preprocess import read_pixels
from core.runs.store import Run
from core.wording import count, percent
from core.workspace import Workspace

ROBUSTNESS = SideJob("robustness", "core.evaluation.robustness", "The robustness test")
SIZES = (100, 300, 1000)  # images on offer
USUAL_SIZE = 300
BATCH = 50
_THREADS = 2
NONE = "none"  # the corruption of images as they are


def measure(
    classifier: Classifier, root: Path, rows: pd.DataFrame, on_progress: Callable[[int, int], None], seed: int = 0
) -> dict[str, Any]:
    """Accuracy under each corruption at each severity.

    Args:
        rows: path and label of the images; those that cannot be read are left out.
        on_progress: called with answers given and answers in all; may raise to end it.

    Returns:
        images; unreadable; rows: corruption, title, severity (0: as they are), amount in words, right, accuracy, low,
        high (95 %, Wilson); mean: accuracy over all corruptions and severities alike; sentence.

    Raises:
        InputError: none of the images can be read.
    """
    tasks = [(corruption, severity) for corruption in CORRUPTIONS for severity in SEVERITIES]
    right = np.zeros(len(tasks) + 1, int)
    total, done, num_read = len(rows) * (len(tasks) + 1), 0, 0
    class_ids = pd.Index(classifier.classes).get_indexer(rows["label"])
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(rows), BATCH):
            part = range(start, min(start + BATCH, len(rows)))
            read = list(pool.map(lambda place: _pixels(root / rows["path"].iloc[place], classifier), part))
            kept = [(place, pixels) for place, pixels in zip(part, read, strict=True) if pixels is not None]
            num_read += len(kept)
            for number in range(len(tasks) + 1):
                if kept:
                    images = [pixels for _, pixels in kept]
                    if number:
                        corruption, severity = tasks[number - 1]
                        seeds = [(seed, place) for place, _ in kept]
                        images = list(pool.map(lambda one, own: corruption.apply(one, severity, own), images, seeds))  # noqa: B023  used at once
                    answers = classifier.probabilities(np.stack(images)).argmax(axis=1)
                    right[number] += int((answers == class_ids[[place for place, _ in kept]]).sum())
                done += len(part)
                on_progress(done, total)
    if not num_read:
        raise InputError("None of the test images can be read any more.", "Put the dataset's folder back.")
    found = [_row(NONE, "As they are", 0, "", right[0], num_read)]
    for (corruption, severity), hits in zip(tasks, right[1:], strict=True):
        found.append(_row(corruption.name, corruption.title, severity, corruption.amount(severity), hits, num_read))
    return {
        "images": num_read,
        "unreadable": len(rows) - num_read,
        "rows": found,
        "mean": float(right[1:].mean() / num_read),
        "sentence": _sentence(found, num_read),
    }


def chosen_rows(run: Run, num_images: int) -> pd.DataFrame:
    """So many of the run's test images, or all, evenly spread: path, label.

    Raises:
        InputError: it was not evaluated, or has no test images.
    """
    answers = read_predictions(run.folder)
    rows = None if answers is None else answers.loc[answers["split"] == "test", ["path", "label"]]
    if rows is None or rows.empty:
        raise InputError(f"Run {run.id} has no test images that were classified.", "Evaluate it first.")
    if num_images < len(rows):
        rows = rows.iloc[np.linspace(0, len(rows) - 1, num_images).round().astype(int)]
    return rows.reset_index(drop=True)


def open_model(run: Run) -> tuple[Classifier, Path]:
    """The run's model as it is evaluated, and the folder of its images.

    Raises:
        DarkroomError: there is none, or the folder is gone.
    """
    bundle = read_bundle(run.bundle)
    root = open_dataset(Workspace.default(), run.config.data.dataset).root
    if not root.is_dir():
        raise DarkroomError(f"The dataset's folder {root} is no longer there.", "Put it back and try again.")
    return open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx"), root


def main(run_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        rows = chosen_rows(run, int(request.get("images", USUAL_SIZE)))
        classifier, root = open_model(run)
        status.update(phase="spoiling", message="Classifying spoiled images.")
        found = measure(classifier, root, rows, meter(status))
        return found["sentence"], found

    return ROBUSTNESS.carry_out(run, work)


def _pixels(path: Path, classifier: Classifier) -> np.ndarray | None:
    try:
        return read_pixels(path, classifier.spec)
    except ImageReadError:
        return None


def _row(name: str, title: str, severity: int, amount: str, hits: int, total: int) -> dict[str, Any]:
    low, high = wilson_interval(int(hits), total)
    return {
        "corruption": name,
        "title": title,
        "severity": severity,
        "amount": amount,
        "right": int(hits),
        "accuracy": int(hits) / total,
        "low": low,
        "high": high,
    }


def _sentence(found: list[dict[str, Any]], num_images: int) -> str:
    """The first severity at which the interval lies below that of the images as they are, for what hurts first."""
    clean = found[0]
    hurt = [row for row in found[1:] if row["high"] < clean["low"]]
    begins = f"{percent(clean['accuracy'])} of {count(num_images, 'test image')} are right as they are"
    if not hurt:
        return f"{begins}, and no corruption at any severity tried brings that down beyond chance."
    first = min(hurt, key=lambda row: (row["severity"], row["accuracy"]))
    worst = min(found[1:], key=lambda row: row["accuracy"])
    return (
        f"{begins}. {first['title']} ({first['amount']}) is the first to hurt, at severity {first['severity']}: "
        f"{percent(first['accuracy'])}. Worst is {worst['title'].lower().replace('jpeg', 'JPEG')} at severity "
        f"{worst['severity']}: {percent(worst['accuracy'])}."
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
