"""All that is known of an evaluated run as one plain dictionary: the JSON file, and what the others are made of."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from core.errors import DarkroomError, InputError
from core.evaluation.abstention import answers, with_threshold
from core.evaluation.explained import read_explanation
from core.evaluation.metrics import confused_pairs
from core.evaluation.on_dataset import results
from core.evaluation.predictions import read_predictions, read_probabilities
from core.evaluation.robustness import ROBUSTNESS
from core.exports.exported import Exported, list_exports
from core.handover import origins
from core.handover.engines import SPEED
from core.handover.failures import failures
from core.inference.bundle import Bundle, read_bundle
from core.runs.about import read_about
from core.runs.store import MANIFEST, Run

MOST_PAIRS = 20
FORMAT = "darkroom report 1"
_SUMMARY = ("test_accuracy", "val_accuracy", "majority_class", "majority_baseline", "num_test", "num_val")
# Parts of `report.json` that go in as they are, where the evaluation was by a version that had them.
_PARTS = ("calibration", "abstention", "unknown", "slices", "diagnosis")
_OF_EXPORTS = ("agreement", "max_probability_gap", "accuracy_before", "accuracy_after", "size_bytes")

Document = dict[str, Any]


def document(run: Run) -> Document:
    """Everything there is to tell of a run; values that JSON can hold.

    Returns:
        format, made (seconds since the epoch), headline; run: id, name, note, tags, created; summary: accuracies 0..1,
        low and high (95 %), baselines and numbers of images; metrics and per_class: see `core.evaluation.report`;
        confusion: classes, and cells as [true, predicted, images] with places in classes, empty ones left out; pairs:
        the commonest mistakes, see `core.evaluation.metrics.confused_pairs`; the parts of `report.json` where it has
        them; threshold: what the stored threshold does to the test images, None without one; robustness, saliency,
        speed: what those tests found, None where they were not made; exports: each format made, whether it is ready,
        and what its gate found; other_data: how it did on other datasets;
        failures: see `core.handover.failures`; skipped: images that could not be read; data, split, training, model,
        hashes: see `core.handover.origins`.

    Raises:
        InputError: the run was not evaluated.
        DarkroomError: a file of it is damaged, or its report is of other answers than its `predictions.parquet`.
    """
    report, predictions = run.report(), read_predictions(run.folder)
    if report is None or predictions is None or "metrics" not in report:
        raise InputError(
            f"Run {run.id} has not been evaluated, or by an early version.", f"python -m core evaluate {run.id}"
        )
    test = predictions[predictions["split"] == "test"]
    if (len(test), int((test["label"] != test["predicted"]).sum())) != (report["num_test"], report["test_errors"]):
        raise DarkroomError(
            f"The report of run {run.id} is not of the answers in its predictions.parquet.",
            f"Evaluate it again: python -m core evaluate {run.id}",
        )
    manifest, bundle, about = run.manifest(), read_bundle(run.bundle), read_about(run)
    low, high = report["test_accuracy_interval"] or (None, None)
    counts = np.asarray(report["confusion"])
    summary = {name: report[name] for name in _SUMMARY} | {"low": low, "high": high, "num_wrong": report["test_errors"]}
    return {
        "format": FORMAT,
        "made": time.time(),
        "headline": report["headline"],
        "run": {
            "id": run.id,
            "name": about.name,
            "note": about.note,
            "tags": list(about.tags),
            "created": run.created,
        },
        "summary": summary,
        "metrics": report["metrics"],
        "per_class": report["per_class"],
        "confusion": {"classes": report["classes"], "cells": cells(counts)},
        "pairs": confused_pairs(counts, report["classes"], MOST_PAIRS).to_dict("records"),
        **{name: report[name] for name in _PARTS if report.get(name) is not None},
        "threshold": _threshold(run, bundle),
        "robustness": ROBUSTNESS.answer(run),
        "saliency": _saliency(run),
        "speed": SPEED.answer(run),
        "exports": [_export(one) for one in list_exports(run)],
        "other_data": [_on(found) for found in results(run)],
        "failures": failures(predictions),
        "skipped": report["skipped"],
        "data": origins.data_card(run, manifest),
        "split": origins.division(run, manifest, report),
        "training": origins.training(run),
        "model": origins.model_card(bundle),
        "hashes": origins.hashes(run),
    }


def cells(counts: np.ndarray) -> list[list[int]]:
    """The cells of a confusion matrix that hold images, as [true, predicted, images]: of 1,000 classes a few."""
    true, predicted = np.nonzero(counts)
    return np.stack([true, predicted, counts[true, predicted]], axis=1).tolist() if len(true) else []


def matrix(told: Document) -> np.ndarray:
    """The confusion matrix of a document, counts (C, C), rows the true class."""
    size = len(told["confusion"]["classes"])
    counts = np.zeros((size, size), int)
    for true, predicted, images in told["confusion"]["cells"]:
        counts[true, predicted] = images
    return counts


def stamp(run: Run) -> list[int]:
    """Changes when what a document tells does: the evaluation, the model and its thresholds, the tests made since."""
    files = [run.bundle / "model.json", run.folder / MANIFEST, run.folder / "report.json", run.folder / "about.json"]
    files += [run.folder / f"{name}.json" for name in ("robustness", "saliency", "speed")]
    files += sorted([*run.folder.glob("on-*.json"), *run.folder.glob("export-*.json")])
    return [file.stat().st_mtime_ns if file.is_file() else 0 for file in files]


def _threshold(run: Run, bundle: Bundle) -> dict[str, Any] | None:
    if bundle.abstention_threshold is None:
        return None
    stored = read_probabilities(run.folder, "test")
    assert stored is not None  # the caller has read the same file
    effect = with_threshold(*answers(*stored, bundle.temperature), bundle.abstention_threshold)
    return {"threshold": bundle.abstention_threshold, "target": bundle.abstention_target, **effect}


def _export(one: Exported) -> dict[str, Any]:
    """An export, whether it may be called ready, and what its gate found; figures are None where it was not asked."""
    known = {name: one.parity.get(name) for name in _OF_EXPORTS}
    return {"key": one.format.key, "name": one.format.name, "ready": one.ready, "problem": one.problem, **known}


def _on(found: dict[str, Any]) -> dict[str, Any]:
    """How the run did on another dataset: what to be told of `core.evaluation.on_dataset`."""
    report = found["report"]
    low, high = report["test_accuracy_interval"] or (None, None)
    kept = {name: found[name] for name in ("dataset", "name", "version", "mapping", "asked", "left_out")}
    accuracy = {"accuracy": report["test_accuracy"], "low": low, "high": high}
    balanced = (report["metrics"].get("balanced_accuracy") or {}).get("value")
    return kept | accuracy | {"balanced_accuracy": balanced, "num_images": report["num_test"]}


def _saliency(run: Run) -> dict[str, Any] | None:
    found = read_explanation(run)
    if found is None:
        return None
    return {
        "fault": found.fault,
        "way": found.way,
        "gain": found.gain,
        "gain_low": found.low,
        "likeness": found.likeness,
        "maps": len(found.images),
        "believed": found.passed(),
    }
