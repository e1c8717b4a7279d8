"""Figures that say how good a classifier is, each with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd


def wilson_interval(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The range in which the true share plausibly lies, given `successes` out of `total`; both ends within 0..1.

    Wilson's score interval: with p = successes / total, centre (p + z^2 / 2n) / (1 + z^2 / n) and half-width
    z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n). Unlike the textbook p +- z sqrt(p (1 - p) / n) it stays
    within 0..1 and keeps a width at 0 % and 100 %. Source: E. B. Wilson, "Probable Inference, the Law of
    Succession, and Statistical Inference", JASA 22 (1927), 209-212.

    Args:
        z: how many standard errors; 1.959964 gives 95 %.

    Raises:
        ValueError: no trials, or a number of successes that cannot be.
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is not a share")
    share, z2 = successes / total, z * z
    shrink = 1 + z2 / total
    centre = (share + z2 / (2 * total)) / shrink
    half = z * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / shrink
    # At the ends the formula gives exactly 0 or 1; rounding must not leave 1e-17 or 0.9999999 there.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == total else centre + half)


def confusion(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """How often each class was taken for each: integers, shape (C, C), rows the true class, columns the answer.

    Raises:
        ValueError: a label or an answer that is not among `classes`.
    """
    true_ids, predicted_ids = _class_ids(labels, classes), _class_ids(predicted, classes)
    if len(true_ids) == 0:  # scikit-learn refuses an empty table
        return np.zeros((len(classes), len(classes)), int)
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true_ids, predicted_ids, labels=np.arange(len(classes)))


def normalise_rows(counts: np.ndarray) -> np.ndarray:
    """Each row as shares of its own sum, 0..1; the row of a class without images stays zero."""
    totals = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(totals, 1)


def per_class(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 (each 0..1) and support (number of images) a class, in the order of `classes`.

    A figure whose denominator is zero is 0: precision of a class that was never the answer, recall of a class
    without images (its support of 0 says so).

    Raises:
        ValueError: a label or an answer that is not among `classes`.
    """
    true_ids, predicted_ids = _class_ids(labels, classes), _class_ids(predicted, classes)
    figures: tuple[np.ndarray, ...] = tuple(np.zeros(len(classes)) for _ in range(4))
    if len(true_ids):
        from sklearn.metrics import precision_recall_fscore_support

        figures = precision_recall_fscore_support(
            true_ids, predicted_ids, labels=np.arange(len(classes)), zero_division=0
        )
    precision, recall, f1, support = figures
    return pd.DataFrame(
        {
            "label": list(classes),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": np.asarray(support, int),
        }
    )


def macro_f1(table: pd.DataFrame) -> float | None:
    """The mean F1 of the classes that have images, every class counting the same; None where none has.

    A class without images is left out: it could only ever score 0, whatever the model does.
    """
    measured = table.loc[table["support"] > 0, "f1"]
    return float(measured.mean()) if len(measured) else None


def _class_ids(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    ids = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(list(names), dtype=object))
    if (ids < 0).any():
        strangers = sorted({name for name, number in zip(names, ids, strict=True) if number < 0})
        raise ValueError(f"not among the classes: {', '.join(strangers[:10])}")
    return ids
