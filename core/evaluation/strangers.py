"""Show a model images of another dataset and see how many it refuses, as a job:
`python -m core.evaluation.strangers RUN_FOLDER DATASET`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core import jobs
from core.data.manifest import usable
from core.data.stored import open_dataset
from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation.predictions import PREDICTIONS, read_predictions
from core.evaluation.side_jobs import start_in
from core.evaluation.unknown import Flagged, flagged, separation
from core.files import read_json, write_bytes, write_json
from core.inference.bundle import WEIGHTS, Bundle, read_bundle
from core.inference.classifier import Classifier, open_classifier, softmax
from core.inference.familiar import energy
from core.preprocess import read_pixels
from core.runs.store import Run
from core.workspace import Workspace

FOLDER = "strangers"  # in the run's own folder, so that deleting the run deletes this too
RESULT, SCORES = "result.json", "scores.parquet"
MOST_SHOWN = 500  # images, spread evenly over the dataset
_BATCH = 32


class Cancelled(Exception):
    """Somebody asked the job to end."""


@dataclass(frozen=True)
class Shown:
    """What a model made of images of another dataset.

    Attributes:
        dataset, name: the dataset's id and what it is called.
        images: that could be read; `unreadable` could not.
        measure: what told them apart, `distance` or `energy`; None where the model cannot tell.
        strange: how many are unlike its own; None without a measure.
        refused: how many get no answer: strange, or of a confidence below the threshold.
        separation: the chance that one of them scores stranger than one of its own test images, 0..1.
    """

    dataset: str
    name: str
    images: int
    unreadable: int
    measure: str | None
    strange: Flagged | None
    refused: Flagged
    separation: float | None


def ask(run: Run, dataset_id: str) -> None:
    """Start the job, unless it is at work.

    Raises:
        DarkroomError: the run has no model or there is no such dataset.
    """
    read_bundle(run.bundle)
    open_dataset(Workspace.default(), dataset_id)
    start_in(folder_of(run, dataset_id), RESULT, "core.evaluation.strangers", str(run.folder), dataset_id)


def progress(run: Run, dataset_id: str) -> jobs.Status | None:
    """How far the job is; None where none was started."""
    return jobs.progress_in(folder_of(run, dataset_id))


def cancel(run: Run, dataset_id: str) -> None:
    """Ask the job to end."""
    jobs.cancel_in(folder_of(run, dataset_id))


def asked(run: Run) -> list[str]:
    """The datasets that were ever shown to the run."""
    return sorted(status.parent.name for status in (run.folder / FOLDER).glob(f"*/{jobs.STATUS}"))


def shown(run: Run, dataset_id: str) -> Shown | None:
    """What came of it, by the thresholds as they are now; None while there is nothing, or the model is another since.

    Raises:
        DarkroomError: a file of it is damaged.
    """
    folder = folder_of(run, dataset_id)
    raw = read_json(folder / RESULT)
    if raw is None or raw["model"] != _model(run):
        return None
    try:
        scores = pd.read_parquet(folder / SCORES)
    except (OSError, ValueError) as error:
        raise DarkroomError(f"{folder / SCORES} is damaged ({error}).", "Show the dataset again.") from error
    bundle, own = read_bundle(run.bundle), read_predictions(run.folder)
    measure, limit = _measure(bundle, scores)
    values = np.zeros(len(scores)) if measure is None else scores[measure].to_numpy(float)
    strange = np.zeros(len(scores), bool) if limit is None else values > limit
    unsure = scores["confidence"].to_numpy() < (bundle.abstention_threshold or 0.0)
    apart = None
    if measure is not None and own is not None and measure in own:
        apart = separation(own.loc[own["split"] == "test", measure].to_numpy(float), values)
    return Shown(
        dataset_id,
        raw["name"],
        len(scores),
        raw["unreadable"],
        measure,
        None if limit is None else flagged(values, limit),
        flagged((strange | unsure).astype(float), 0.5),
        apart,
    )


def score(
    classifier: Classifier,
    files: list[Path],
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[pd.DataFrame, int]:
    """One row an image that can be read: confidence (calibrated), energy and, where the bundle can tell, distance.

    Returns:
        The rows, and how many images could not be read.

    Raises:
        Cancelled: `should_stop` said so.
    """
    parts, unreadable = [], 0
    for start in range(0, len(files), _BATCH):
        if should_stop is not None and should_stop():
            raise Cancelled("Cancelled.")
        batch = []
        for file in files[start : start + _BATCH]:
            try:
                batch.append(read_pixels(file, classifier.spec))
            except ImageReadError:
                unreadable += 1
        if batch:
            logits, features = classifier.logits_and_features(np.stack(batch))
            calibrated = softmax(logits.astype(np.float64) / classifier.bundle.temperature)
            row = {"confidence": calibrated.max(axis=1), "energy": energy(logits)}
            distance = classifier.distances(features)
            parts.append(pd.DataFrame(row if distance is None else row | {"distance": distance}))
        if on_progress is not None:
            on_progress(min(start + _BATCH, len(files)), len(files))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["confidence", "energy"]), unreadable


def main(run_folder: Path, dataset_id: str) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)
    folder = folder_of(run, dataset_id)

    def work(status: jobs.StatusWriter) -> str:
        dataset = open_dataset(Workspace.default(), dataset_id)
        rows = usable(dataset.manifest())
        if rows.empty or not dataset.root.is_dir():
            raise InputError(f"There is no image of {dataset.name} to show.", "Choose another dataset.")
        places = np.linspace(0, len(rows) - 1, min(MOST_SHOWN, len(rows))).round().astype(int)
        status.update(phase="showing", message=f"Showing images of {dataset.name} to the model.")
        bundle, model = read_bundle(run.bundle), _model(run)
        classifier = open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx")
        files = [dataset.root / path for path in rows["path"].iloc[places]]
        scores, unreadable = score(classifier, files, status.progress, lambda: status.stop_requested)
        write_bytes(folder / SCORES, scores.to_parquet(index=False))
        write_json(folder / RESULT, {"name": dataset.name, "unreadable": unreadable, "model": model})
        return f"{len(scores):,} images of {dataset.name} were shown to the model."

    return jobs.carry_out(folder, work, (Cancelled,), "Showing the images")


def _measure(bundle: Bundle, scores: pd.DataFrame) -> tuple[str | None, float | None]:
    """What tells strange images, as in `Classifier.are_familiar`, and its limit."""
    if "distance" in scores and bundle.distance_threshold is not None:
        return "distance", bundle.distance_threshold
    return (None, None) if bundle.energy_threshold is None else ("energy", bundle.energy_threshold)


def _model(run: Run) -> list[int]:
    """Changes with the run's weights and its evaluation, not with a threshold."""
    files = (run.bundle / WEIGHTS, run.folder / PREDICTIONS)
    return [file.stat().st_mtime_ns if file.is_file() else 0 for file in files]


def folder_of(run: Run, dataset_id: str) -> Path:
    """Where the job is; it may not exist yet."""
    return run.folder / FOLDER / Workspace.default().dataset(dataset_id).name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2]))
