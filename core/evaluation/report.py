"""The evaluation of a run as one plain dictionary: what `report.json` holds and the Evaluate page shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from core.evaluation.metrics import confusion, macro_f1, per_class, wilson_interval
from core.evaluation.predictions import probabilities_of
from core.evaluation.scores import class_areas, class_intervals, measure
from core.wording import count, percent, percent_interval


def build_report(
    predictions: pd.DataFrame, classes: Sequence[str], skipped: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Everything the test split says, in values that JSON can hold (never NaN; None where there is no figure).

    Args:
        predictions: the table of `predict_manifest`.
        skipped: its unreadable images, (path, reason).

    Returns:
        headline: the result as one sentence.
        test_accuracy, val_accuracy: shares 0..1, None without images; test_accuracy_interval: [low, high], 95 %
        Wilson; num_test, num_val, test_errors: images; test_loss, val_loss: mean, nats; macro_f1: over classes
        that have test images; majority_class, majority_baseline: the test split's commonest class and the
        accuracy of always answering it; per_class: rows of label, precision, recall, f1, support, answers, hits and
        `<figure>_low`, `<figure>_high`, see `core.evaluation.scores.class_intervals`, and the columns of
        `class_areas` there; metrics: every figure of the
        test split with its interval and baselines, see `core.evaluation.scores.measure`; confusion: counts, rows true,
        columns predicted, in the order of classes; classes; skipped: rows of path, error.
    """
    test = predictions[predictions["split"] == "test"]
    val = predictions[predictions["split"] == "val"]
    labels, answers = test["label"].tolist(), test["predicted"].tolist()
    table = class_intervals(per_class(labels, answers, classes))
    counts = confusion(labels, answers, classes)
    num_right = int((test["label"] == test["predicted"]).sum())
    majority = table.loc[table["support"].idxmax()] if len(test) else None
    probabilities = probabilities_of(test)
    if probabilities.size:
        table = pd.concat([table, class_areas(labels, probabilities, classes)], axis=1)
    figures = measure(
        labels,
        answers,
        test["confidence"].to_numpy(float),
        test["loss"].to_numpy(float),
        probabilities if probabilities.size else None,
        counts,
        classes,
    )
    report = {
        "test_accuracy": _accuracy(test),
        "test_accuracy_interval": list(wilson_interval(num_right, len(test))) if len(test) else None,
        "val_accuracy": _accuracy(val),
        "num_test": len(test),
        "num_val": len(val),
        "test_errors": len(test) - num_right,
        "test_loss": _mean_loss(test),
        "val_loss": _mean_loss(val),
        "macro_f1": macro_f1(table),
        "majority_class": None if majority is None else str(majority["label"]),
        "majority_baseline": None if majority is None else int(majority["support"]) / len(test),
        "per_class": [_plain_row(row) for row in table.to_dict("records")],
        "metrics": figures,
        "confusion": counts.tolist(),
        "classes": list(classes),
        "skipped": [{"path": path, "error": error} for path, error in skipped],
    }
    return {"headline": _headline(report), **report}


def _headline(report: dict[str, Any]) -> str:
    if not report["num_test"]:
        return "No test image could be classified, so there is no test accuracy."
    low, high = report["test_accuracy_interval"]
    verb = "is" if report["num_test"] == 1 else "are"
    return (
        f"{percent_interval(report['test_accuracy'], low, high)} of {count(report['num_test'], 'test image')} {verb} "
        f"classified correctly; always answering '{report['majority_class']}' would get "
        f"{percent(report['majority_baseline'])}."
    )


def _accuracy(rows: pd.DataFrame) -> float | None:
    return float((rows["label"] == rows["predicted"]).mean()) if len(rows) else None


def _mean_loss(rows: pd.DataFrame) -> float | None:
    return float(rows["loss"].mean()) if len(rows) else None


def _plain_row(row: dict[Any, Any]) -> dict[str, Any]:
    """What JSON can hold: None in place of NaN."""
    plain = {"label": str(row["label"])} | {name: int(row[name]) for name in ("support", "answers", "hits")}
    shares = {name: float(value) for name, value in row.items() if name not in plain}
    return plain | {name: None if math.isnan(share) else share for name, share in shares.items()}
