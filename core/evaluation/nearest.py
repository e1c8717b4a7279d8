"""Beside each mistake, the training images most like it, as a job: `python -m core.evaluation.nearest RUN_FOLDER`.

Alike is what the network itself finds alike: what its last layer is given of the images. They often say why it
answered so: a twin with another label, a class that was learned from images of the wrong kind.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.manifest import usable
from core.errors import InputError
from core.evaluation.predictions import mistakes, predict_manifest, read_predictions
from core.evaluation.robustness import open_model
from core.evaluation.side_jobs import SideJob, meter
from core.evaluation.unknown import Noting
from core.inference.bundle import ONNX
from core.inference.classifier import Classifier, onnx_forward
from core.jobs import StatusWriter
from core.runs.store import Run
from core.wording import count

NEAREST = SideJob("nearest", "core.evaluation.nearest", "Finding the nearest training images")
SHOWN = 5  # training images beside each mistake
MOST_MISTAKES, MOST_TRAINING = 2_000, 30_000  # of more the surest mistakes, and training images spread evenly
_CHUNK = 512  # mistakes compared at once


@dataclass(frozen=True)
class Near:
    """A training image near a mistake.

    Attributes:
        path: in the run's dataset.
        distance: 0 for the same direction of features, 1 for nothing in common, 2 for opposite.
    """

    path: str
    distance: float


@dataclass(frozen=True)
class Nearest:
    """What the job found.

    Attributes:
        beside: the training images nearest to each mistake, by its path; nearest first, at most `SHOWN`.
        num_mistakes, num_training: the images looked at.
        all_mistakes, all_training: how many there were to look at.
    """

    beside: dict[str, list[Near]]
    num_mistakes: int
    num_training: int
    all_mistakes: int
    all_training: int

    def left_out(self) -> str:
        """What was not looked at, as a sentence; empty where all was."""
        parts = [
            (self.num_mistakes, self.all_mistakes, "mistake"),
            (self.num_training, self.all_training, "training image"),
        ]
        said = [f"{count(some)} of {count(of, what)}" for some, of, what in parts if some < of]
        return f"Looked at {' and '.join(said)}." if said else ""


def read_nearest(run: Run) -> Nearest | None:
    """What the last job found; None where there is nothing, or the run has another model since."""
    kept = NEAREST.answer(run)
    if kept is None:
        return None
    beside = {path: [Near(*one) for one in found] for path, found in kept["beside"].items()}
    return Nearest(beside, **{name: kept[name] for name in Nearest.__annotations__ if name != "beside"})


def find_nearest(
    classifier: Classifier,
    root: Path,
    wrong: pd.DataFrame,
    training: pd.DataFrame,
    on_progress: Callable[[int, int], None],
) -> tuple[dict[str, list[Near]], int, int]:
    """The training images nearest to each mistake, and how many of both could be read.

    Features are centred on the mean of the training images, as those of one network all point much the same way.

    Args:
        classifier: one that gives features, see `_with_features`.
        wrong, training: path and label of the images.
        on_progress: called with images done and images in all; may raise to end it.


    Raises:
        InputError: too few images can be read.
    """
    rows = pd.concat([wrong.assign(split="test"), training.assign(split="train")], ignore_index=True)
    noting = Noting(classifier)
    answers = predict_manifest(noting, root, rows[["path", "label", "split"]], ("test", "train"), on_progress)
    assert answers is not None  # nobody asked it to stop
    table, features = answers[0], noting.noted()
    asked = (table["split"] == "test").to_numpy()
    if features is None or asked.all() or not asked.any():
        raise InputError("The images can no longer be read.", "Put the dataset's folder back.")
    paths = table["path"].to_numpy()
    likeness, places = _nearest(*_centred(features[asked], features[~asked]), SHOWN)
    known = paths[~asked]
    beside = {
        path: [Near(str(known[place]), round(float(1 - alike), 4)) for place, alike in zip(near, row, strict=True)]
        for path, near, row in zip(paths[asked], places, likeness, strict=True)
    }
    return beside, int(asked.sum()), int((~asked).sum())


def main(run_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answers, images = read_predictions(run.folder), usable(run.manifest())
        wrong = None if answers is None else mistakes(answers)
        training = images.loc[images["split"] == "train", ["path", "label"]]
        if wrong is None or wrong.empty or training.empty:
            raise InputError("There is no mistake to look at.", "Evaluate the run first, or be glad.")
        classifier, root = open_model(run)
        status.update(phase="comparing", message="Comparing mistakes with the training images.")
        few = wrong.head(MOST_MISTAKES)[["path", "label"]]
        beside, num_wrong, num_training = find_nearest(
            _with_features(run, classifier), root, few, _spread(training, MOST_TRAINING), meter(status)
        )
        found = Nearest(beside, num_wrong, num_training, len(wrong), len(training))
        said = f"{count(num_wrong, 'mistake')} compared with {count(num_training, 'training image')}."
        flat = {path: [(one.path, one.distance) for one in near] for path, near in beside.items()}
        return said, asdict(found) | {"beside": flat}

    return NEAREST.carry_out(run, work)


def _with_features(run: Run, classifier: Classifier) -> Classifier:
    """The same, or where its graph does not say what its last layer is given, one that was made to say so.

    Raises:
        InputError: it cannot be made to.
    """
    blank = np.zeros((1, classifier.spec.size, classifier.spec.size, 3), np.uint8)
    if classifier.logits_and_features(blank)[1] is not None:
        return classifier
    from core.inference.export import give_features  # loads torch, which few need

    graph = shutil.copy(run.bundle / ONNX, NEAREST.folder(run) / ONNX)
    give_features(Path(graph))
    telling = Classifier(classifier.bundle, onnx_forward(Path(graph)))
    if telling.logits_and_features(blank)[1] is None:
        raise InputError("This model does not say what it sees in an image.", "Train it again with today's Darkroom.")
    return telling


def _centred(wanted: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32 rows of length 1 around the mean of `known`."""
    mean = known.mean(axis=0, dtype=np.float32)
    moved = [features.astype(np.float32) - mean for features in (wanted, known)]
    for rows in moved:
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return moved[0], moved[1]


def _nearest(wanted: np.ndarray, known: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and places in `known` of the rows nearest to each of `wanted`, nearest first."""
    most = min(most, len(known))
    alike, places = np.empty((len(wanted), most), np.float32), np.empty((len(wanted), most), np.int64)
    for start in range(0, len(wanted), _CHUNK):
        part = slice(start, start + _CHUNK)
        cosines = wanted[part] @ known.T
        best = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        found = np.take_along_axis(cosines, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        alike[part] = np.take_along_axis(found, order, axis=1)
        places[part] = np.take_along_axis(best, order, axis=1)
    return alike, places


def _spread(rows: pd.DataFrame, at_most: int) -> pd.DataFrame:
    """So many of the rows, evenly spread, or all."""
    if len(rows) <= at_most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, at_most).round().astype(int)]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
