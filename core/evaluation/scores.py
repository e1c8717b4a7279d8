"""Every figure of a split of test images, with its interval and with what no skill at all would score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.calibration import BINS, expected_calibration_error
from core.evaluation.intervals import (
    calibration_interval,
    images_behind_a_mean,
    loss_interval,
    mean_rate_error,
    score_errors,
    score_interval,
)
from core.evaluation.metrics import brier_terms, class_ids, count_scores, ranks, wilson_ends
from core.evaluation.roc import one_vs_rest
from core.wording import UNKNOWN, count, percent, percent_interval, significant

THRESHOLDS = np.arange(1, 100) / 100  # that a slider offers for two classes
TOP = (2, 3, 5)  # among so many likeliest classes; only where there are more classes than that
_SIGNED = ("kappa", "mcc")  # from -1
_SHARES = ("accuracy", "weighted_recall")  # of the images: their bootstrap is known without drawing
_MEANS = ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1")
_ROWS_AT_ONCE = 4096

Figures = dict[str, dict[str, float | None]]

# As pages and reports call them, with one sentence each, in the order to show them.
TITLES = {
    "accuracy": ("Accuracy", "The share of test images answered rightly."),
    "balanced_accuracy": ("Balanced accuracy", "The mean of the classes' recalls: every class counts the same."),
    "macro_precision": ("Precision, macro", "How often an answer is right, every class counting the same."),
    "macro_recall": ("Recall, macro", "How much of a class is found, every class counting the same."),
    "macro_f1": ("F1, macro", "The harmonic mean of precision and recall, every class counting the same."),
    "weighted_precision": ("Precision, weighted", "How often an answer is right, each class counting by its images."),
    "weighted_recall": ("Recall, weighted", "How much of a class is found, by its images: the same as accuracy."),
    "weighted_f1": ("F1, weighted", "The harmonic mean of precision and recall, each class counting by its images."),
    **{f"top_{k}_accuracy": (f"Top-{k} accuracy", f"The true class is among the {k} likeliest answers.") for k in TOP},
    "kappa": ("Cohen's kappa", "Agreement beyond what these answers at random would have: 0 none, 1 full."),
    "mcc": ("Matthews correlation", "Correlation of answers and truth: 0 none, 1 full; holds for uneven classes."),
    "log_loss": ("Log-loss", "Mean -ln of the true class's probability, in nats: low is good, and 0 the best."),
    "brier": ("Brier score", "Mean squared distance of probabilities from the truth: 0 is the best, 2 the worst."),
    "ece": ("Calibration error (ECE)", f"The mean gap between confidence and accuracy, in {BINS} bins: 0 is the best."),
}
_IN_PERCENT = {*TITLES} - {"kappa", "mcc", "log_loss", "brier"}


def score_table(figures: Figures) -> pd.DataFrame:
    """The figures of `measure` to look at, in the order of `TITLES`.

    Returns:
        name, title, meaning; value, low, high, majority, chance as numbers; shown (`97.3 % (95.1-98.8)`),
        shown_majority and shown_chance as text; is_share (0..1, larger is better).
    """
    rows = []
    for name in TITLES:
        if name in figures:
            row = figures[name]
            texts = {f"shown_{which}": shown(name, row[which]) for which in ("majority", "chance")}
            is_share = name in _IN_PERCENT and name != "ece"
            title, meaning = TITLES[name]
            words = {"name": name, "title": title, "meaning": meaning, "shown": _with_interval(name, row)}
            rows.append(words | row | texts | {"is_share": is_share})
    return pd.DataFrame(rows)


def measure(
    labels: Sequence[str],
    predicted: Sequence[str],
    confidence: np.ndarray,
    loss: np.ndarray,
    probabilities: np.ndarray | None,
    counts: np.ndarray,
    classes: Sequence[str],
) -> Figures:
    """All figures of some classified images; empty where there are none.

    Args:
        labels, predicted, confidence, loss: columns of the predictions table.
        probabilities: (N, C), or None where they are not known: then without Brier score and top-k.
        counts: their confusion matrix.

    Returns:
        By name: value, low and high (95 %, see `core.evaluation.intervals`), majority (of always answering the
        commonest class; for figures of probabilities: of the classes' shares as every image's probabilities) and chance
        (of guessing, all classes alike). Shares 0..1, kappa and mcc -1..1, log_loss in nats, brier 0..2. None where
        there is no such figure.
    """
    num_images = len(labels)
    if not num_images:
        return {}
    support, answers, hits = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    values = count_scores(support, answers, hits)
    errors = score_errors(counts) | _errors_of_means(support, answers, hits)
    alike = images_behind_a_mean(support)
    majority, chance = _unskilled(support)
    figures: Figures = {}
    for name, value in values.items():
        if name in _SHARES:
            low, high = _share_interval(float(value), num_images)
        else:
            lowest = -1.0 if name in _SIGNED else 0.0
            low, high = score_interval(float(value), errors[name], alike if name in _MEANS else num_images, lowest)
        figures[name] = _row(value, low, high, majority[name], chance[name])
    right = np.asarray(labels, object) == np.asarray(predicted, object)
    shares = support / num_images
    if probabilities is not None and probabilities.shape[1] == len(classes):
        figures |= _of_probabilities(probabilities, class_ids(labels, classes), shares)
    present = shares[shares > 0]
    entropy = float(-(present * np.log(present)).sum())
    figures["log_loss"] = _row(loss.mean(), *loss_interval(loss), entropy, math.log(len(classes)))
    error = expected_calibration_error(confidence, right)
    figures["ece"] = _row(error, *calibration_interval(confidence, right, BINS), None, None)
    return figures


def class_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 of each class with 95 % intervals, from the counts of `per_class`.

    Recall is a share of the class's images and precision one of its answers: Wilson's interval. F1 is 2 J / (1 + J)
    with J the hits' share of all images that are of the class or were answered with it; it rises with J, so the ends of
    J's interval give its own.

    Returns:
        The table with `<figure>_low` and `<figure>_high`, NaN where the figure has no denominator.
    """
    support, answers, hits = (table[name].to_numpy(float) for name in ("support", "answers", "hits"))
    found = table.copy()
    for name, whole in (("precision", answers), ("recall", support), ("f1", support + answers - hits)):
        low, high = np.full(len(table), np.nan), np.full(len(table), np.nan)
        known = whole > 0
        low[known], high[known] = wilson_ends(hits[known] / whole[known], whole[known])
        if name == "f1":
            low, high = 2 * low / (1 + low), 2 * high / (1 + high)
        found[f"{name}_low"], found[f"{name}_high"] = low, high
    return found


def class_areas(labels: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """The areas below each class's curves, see `core.evaluation.roc.Curves`; NaN where a class has none.

    Args:
        probabilities: (N, C), in the order of `classes`.

    Returns:
        auc, auc_low, auc_high, average_precision, one row a class.
    """
    targets = class_ids(labels, classes)
    names = ["auc", "auc_low", "auc_high", "average_precision"]
    rows = []
    for place in range(len(classes)):
        curves = one_vs_rest(np.ascontiguousarray(probabilities[:, place]), targets == place)
        rows.append([getattr(curves, name) if curves else math.nan for name in names])
    return pd.DataFrame(rows, columns=names)


def error_rates(row: pd.Series, positive: str, other: str) -> dict[str, dict[str, Any]]:
    """Both kinds of error at a threshold, by what to call them.

    Args:
        row: of `core.evaluation.roc.threshold_costs`.

    Returns:
        For each: of, such as `3 of 40`; share, its share of the class and that share's 95 % interval.
    """
    found = {}
    for title, errors, right in (
        (f"Missed {positive}", row["missed"], row["hits"]),
        (f"{other} taken for {positive}", row["alarms"], row["refused"]),
    ):
        total = int(errors + right)
        share = (errors / total, *_share_interval(errors / total, total)) if total else (None, None, None)
        found[title] = {"of": f"{count(int(errors))} of {count(total)}", "share": share}
    return found


def shown(name: str, figure: float | None) -> str:
    """One of the figures `TITLES` names, or a baseline of it, as people read it."""
    return percent(figure) if name in _IN_PERCENT else significant(figure)


def _with_interval(name: str, row: dict[str, float | None]) -> str:
    if name in _IN_PERCENT:
        return percent_interval(row["value"], row["low"], row["high"])
    if row["value"] is None:
        return UNKNOWN
    return f"{significant(row['value'])} ({significant(row['low'])} to {significant(row['high'])})"


def _of_probabilities(probabilities: np.ndarray, targets: np.ndarray, shares: np.ndarray) -> Figures:
    num_images, num_classes = probabilities.shape
    parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, num_images, _ROWS_AT_ONCE)]
    rank = np.concatenate([ranks(probabilities[part], targets[part]) for part in parts])
    terms = np.concatenate([brier_terms(probabilities[part], targets[part]) for part in parts])
    figures: Figures = {}
    commonest = np.sort(shares)[::-1].cumsum()
    for k in TOP:
        if k < num_classes:
            value = float((rank < k).mean())
            ends = _share_interval(value, num_images)
            figures[f"top_{k}_accuracy"] = _row(value, *ends, commonest[k - 1], k / num_classes)
    # From 0 to 2, so its half is a share of the worst there can be.
    half, error = float(terms.mean()) / 2, float(terms.std() / math.sqrt(num_images)) / 2
    low, high = score_interval(half, error, num_images)
    figures["brier"] = _row(2 * half, 2 * low, 2 * high, 1 - float((shares**2).sum()), 1 - 1 / num_classes)
    return figures


def _errors_of_means(support: np.ndarray, answers: np.ndarray, hits: np.ndarray) -> dict[str, float]:
    """Standard errors of the scores that are means of a rate over the classes that have images."""
    there = support > 0
    recall = mean_rate_error(hits[there], support[there])
    # A class that was never the answer has a precision of 0 by agreement, and no spread.
    answered = float((answers[there] > 0).mean())
    precision = mean_rate_error(hits[there], answers[there]) * answered
    return {"balanced_accuracy": recall, "macro_recall": recall, "macro_precision": precision}


def _unskilled(support: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores of always answering the commonest class, and those expected of guessing."""
    total, num_classes = float(support.sum()), len(support)
    commonest = np.zeros(num_classes)
    commonest[int(support.argmax())] = 1
    always = count_scores(support, commonest * total, commonest * support)
    guessed = count_scores(support, np.full(num_classes, total / num_classes), support / num_classes)
    return always, guessed


def _share_interval(share: float, total: int) -> tuple[float, float]:
    low, high = wilson_ends(np.array(share), np.array(float(total)))
    return float(low), float(high)


def _row(value: Any, low: Any, high: Any, majority: Any, chance: Any) -> dict[str, float | None]:
    figures = {"value": value, "low": low, "high": high, "majority": majority, "chance": chance}
    plain = {name: None if figure is None else float(figure) for name, figure in figures.items()}
    if plain["value"] is None or not math.isfinite(plain["value"]):
        plain |= {"value": None, "low": None, "high": None}
    return {name: figure if figure is None or math.isfinite(figure) else None for name, figure in plain.items()}
