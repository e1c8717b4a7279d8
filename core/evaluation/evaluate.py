"""Evaluate a run: its bundle on its validation and test images, written beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.data.leaks import count_leaks
from core.data.manifest import usable
from core.errors import DarkroomError
from core.evaluation.predictions import predict_manifest, write_predictions
from core.evaluation.report import build_report
from core.files import write_json
from core.inference.bundle import read_bundle
from core.inference.classifier import open_classifier
from core.runs.store import REPORT, Run


def evaluate_run(run: Run, root: Path, on_progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Predict every validation and test image and write `predictions.parquet` and `report.json`.

    The report also holds `leaks` (see `core.data.leaks`) and which version of the dataset it is of.

    The way an image is classified here is the one the Classify page and the CLI use. Where the bundle's ONNX graph
    was withheld the weights themselves are evaluated.

    Args:
        root: the dataset's folder.

    Raises:
        DarkroomError: the run has no model yet, or the dataset's folder is gone.
    """
    bundle = read_bundle(run.bundle)
    if not root.is_dir():
        raise DarkroomError(f"The dataset's folder {root} is no longer there.", "Put it back and evaluate again.")
    classifier = open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx")
    manifest = run.manifest()
    predictions, skipped = predict_manifest(classifier, root, usable(manifest), on_progress=on_progress)
    write_predictions(run.folder, predictions)
    data = run.data()
    leaks = data.get("leaks") or asdict(count_leaks(manifest, run.config.split))
    report = build_report(predictions, bundle.classes, skipped) | {
        "leaks": leaks,
        "dataset_fingerprint": data.get("dataset_fingerprint"),
        "num_edits": data.get("num_edits"),
    }
    write_json(run.folder / REPORT, report)
    return report
