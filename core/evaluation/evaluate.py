"""Evaluate a run: its bundle on its validation and test images, written beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.leaks import count_leaks
from core.data.manifest import usable
from core.errors import DarkroomError, ImageReadError
from core.evaluation import abstention, calibration, diagnosis, slices, unknown
from core.evaluation.evaluated import Evaluated
from core.evaluation.predictions import plain, predict_manifest, probabilities_of, write_predictions
from core.evaluation.report import build_report
from core.evaluation.unknown import Noting, with_distances
from core.files import write_json
from core.inference.bundle import read_bundle
from core.inference.classifier import Classifier, open_classifier, softmax
from core.inference.parity import TOLERANCE
from core.preprocess import read_pixels
from core.runs.store import REPORT, Run

Section = Callable[[Evaluated], dict[str, Any]]

_MOST_INDENTED = 100  # classes: the confusion matrix of more is thousands of lines
_COMPARED = 8  # images on which known answers are checked
# Parts of the report that others write, in order: key and function. What takes longer than a second or two is no
# part of it but a job of its own, see `core.jobs`.
SECTIONS: tuple[tuple[str, Section], ...] = (
    ("calibration", calibration.section),
    ("abstention", abstention.section),
    ("unknown", unknown.section),
    ("slices", slices.section),
    ("diagnosis", diagnosis.section),
)


def evaluate_run(
    run: Run,
    root: Path,
    on_progress: Callable[[int, int], None] | None = None,
    known_logits: Mapping[str, np.ndarray] | None = None,
    known_features: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Predict every validation and test image and write `predictions.parquet` and `report.json`.

    The report holds what `build_report` and the `SECTIONS` give, `leaks` (see `core.data.leaks`) and which version of
    the dataset it is of.

    The way an image is classified here is the one the Classify page and the CLI use. Where the bundle's ONNX graph
    was withheld the weights themselves are evaluated.

    Args:
        root: the dataset's folder.
        known_logits: what the run's network says of images whose features it computed to train its head, float32
            (num_classes,) by path. They are taken for the model's word once a few of them are found to be.
        known_features: of the same images, what the last layer made those of.

    Raises:
        DarkroomError: the run has no model yet, or the dataset's folder is gone.
    """
    bundle = read_bundle(run.bundle)
    if not root.is_dir():
        raise DarkroomError(f"The dataset's folder {root} is no longer there.", "Put it back and evaluate again.")
    classifier = open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx")
    known = _confirmed(classifier, root, known_logits or {})
    noting = Noting(classifier)
    predictions, skipped = predict_manifest(noting, root, usable(run.manifest()), on_progress=on_progress, known=known)
    predictions = with_distances(run, predictions, noting.noted(), known_features or {} if known else {})
    write_predictions(run.folder, predictions)
    return write_report(run, predictions, skipped)


def write_report(run: Run, predictions: pd.DataFrame, skipped: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Work everything out from the answers and write `report.json`; `predictions.parquet` is written already.

    Args:
        predictions: the table of `predict_manifest`, `skipped` its unreadable images.
    """
    classes, manifest, data = read_bundle(run.bundle).classes, run.manifest(), run.data()
    leaks = data.get("leaks") or asdict(count_leaks(manifest, run.config.split))
    report = build_report(predictions, classes, skipped) | {
        "leaks": leaks,
        "dataset_fingerprint": data.get("dataset_fingerprint"),
        "num_edits": data.get("num_edits"),
    }
    probabilities = probabilities_of(predictions)
    evaluated = Evaluated(run, manifest, plain(predictions), probabilities, classes, report)
    for name, section in SECTIONS:
        report[name] = section(evaluated)
    write_json(run.folder / REPORT, report, indent=1 if len(classes) <= _MOST_INDENTED else None)
    return report


def _confirmed(classifier: Classifier, root: Path, logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Logits by path, if on some of these images they are what classifying them gives; else none."""
    paths = sorted(logits)
    few = [paths[place] for place in np.linspace(0, len(paths) - 1, min(_COMPARED, len(paths))).round().astype(int)]
    for path in few:
        try:
            anew = classifier.logits(read_pixels(root / path, classifier.spec)[None])[0]
        except ImageReadError:
            return {}
        if not np.abs(softmax(anew) - softmax(logits[path])).max() <= TOLERANCE:  # also where it is no number
            return {}
    return dict(logits)
