"""Tries what follows training: writing the model, exporting and comparing it, classifying held-out images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.evaluation.predictions import predict_manifest
from core.inference.bundle import ONNX
from core.inference.classifier import open_classifier
from core.training.finishing import MOST_COMPARED, PARITY_BATCH, build_bundle, export
from core.training.models import Network
from core.training.setup import Setup

CLASSIFIED = 64
STILL_READ = 8  # of a run on features: images classified to see whether the features tell the same
REPORT_S = 0.5  # tables, figures and event files


@dataclass(frozen=True)
class Finish:
    """What the phases after training would take.

    Attributes:
        bundle_bytes: of the model's files.
    """

    phases: dict[str, float]
    bundle_bytes: int


def try_finish(setup: Setup, network: Network, backbone: Path | None, folder: Path) -> Finish:
    """Finish the untrained network as a run would finish the trained one, in a folder to be thrown away."""
    began = time.monotonic()
    bundle = build_bundle(folder, setup, network, {})
    writing_s = time.monotonic() - began
    exporting_s = _try_export(setup, bundle, backbone)
    evaluating_s = _try_evaluation(setup, folder, setup.config.model.tune == "head")
    written = sum(file.stat().st_size for file in folder.iterdir())
    phases = {"writing": writing_s, "exporting": exporting_s, "evaluating": evaluating_s}
    return Finish(phases, written)


def _try_export(setup: Setup, bundle: object, backbone: Path | None) -> float:
    marks: list[tuple[int, float]] = []
    began = time.monotonic()
    most = MOST_COMPARED if backbone is None else PARITY_BATCH  # as the run itself
    export(bundle, setup, backbone, lambda done, _: marks.append((done, time.monotonic())), min(most, 2 * PARITY_BATCH))
    spent = time.monotonic() - began
    if len(marks) < 2:
        return spent
    (few, first), (many, last) = marks[0], marks[-1]
    num_val = int((setup.manifest["split"] == "val").sum())
    return spent + (last - first) / (many - few) * max(0, min(num_val, most) - many)


def _try_evaluation(setup: Setup, folder: Path, has_features: bool) -> float:
    held_out = setup.manifest[setup.manifest["split"].isin(["val", "test"])]
    most = STILL_READ if has_features else CLASSIFIED
    places = np.unique(np.linspace(0, len(held_out) - 1, min(most, len(held_out))).round().astype(int))
    began = time.monotonic()
    classifier = open_classifier(folder, "onnx" if (folder / ONNX).is_file() else "torch")
    opened = time.monotonic()
    predict_manifest(classifier, setup.dataset.root, held_out.iloc[places])
    classified_s = time.monotonic() - opened
    if not has_features:
        classified_s *= len(held_out) / len(places)
    return opened - began + classified_s + REPORT_S
