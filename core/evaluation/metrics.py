"""Figures that say how good a classifier is, each with its source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def wilson_interval(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The range in which the true share plausibly lies, given `successes` out of `total`; both ends within 0..1.

    See `wilson_ends`.

    Args:
        z: how many standard errors; 1.959964 gives 95 %.

    Raises:
        ValueError: no trials, or a number of successes that cannot be.
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is not a share")
    low, high = wilson_ends(np.array(successes / total), np.array(float(total)), z)
    return float(low), float(high)


def wilson_ends(shares: np.ndarray, totals: np.ndarray, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of each share 0..1 of its total, which is above 0 and need not be whole.

    With p the share of n, centre (p + z^2 / 2n) / (1 + z^2 / n) and half-width
    z sqrt(p (1 - p) / n + z^2 / 4n^2) / (1 + z^2 / n). Unlike the textbook p +- z sqrt(p (1 - p) / n) it stays
    within 0..1 and keeps a width at 0 % and 100 %. Source: E. B. Wilson, "Probable Inference, the Law of
    Succession, and Statistical Inference", JASA 22 (1927), 209-212.
    """
    z2 = z * z
    shrink = 1 + z2 / totals
    centre = (shares + z2 / (2 * totals)) / shrink
    half = z * np.sqrt(shares * (1 - shares) / totals + z2 / (4 * totals * totals)) / shrink
    # At the ends the formula gives exactly 0 or 1; rounding must not leave 1e-17 or 0.9999999 there.
    return np.where(shares == 0, 0.0, centre - half), np.where(shares == 1, 1.0, centre + half)


def confusion(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """How often each class was taken for each: integers, shape (C, C), rows the true class, columns the answer.

    Raises:
        ValueError: a label or an answer that is not among `classes`.
    """
    num_classes = len(classes)
    cells = class_ids(labels, classes) * num_classes + class_ids(predicted, classes)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def normalise_rows(counts: np.ndarray) -> np.ndarray:
    """Each row as shares of its own sum, 0..1; the row of a class without images stays zero."""
    totals = counts.sum(axis=1, keepdims=True)
    return counts / np.maximum(totals, 1)


def confused_pairs(counts: np.ndarray, classes: Sequence[str], most: int) -> pd.DataFrame:
    """The commonest mistakes: true, predicted, images, share (of the true class, 0..1), the commonest first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    true, answered = np.nonzero(wrong)
    images = wrong[true, answered]
    order = np.argsort(-images, kind="stable")[:most]
    true, answered, images = true[order], answered[order], images[order]
    return pd.DataFrame(
        {
            "true": [classes[place] for place in true],
            "predicted": [classes[place] for place in answered],
            "images": images,
            "share": images / counts.sum(axis=1)[true],
        }
    )


def confused_with(counts: np.ndarray, place: int, most: int) -> np.ndarray:
    """The class at `place` and the at most `most` classes it is mixed up with most often, either way, in that order."""
    mixed = counts[place] + counts[:, place]
    mixed[place] = 0
    others = np.argsort(-mixed, kind="stable")[:most]
    return np.concatenate([[place], others[mixed[others] > 0]])


def per_class(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 (each 0..1) and three counts a class, in the order of `classes`.

    The counts: support, its images; answers, how often it was the answer; hits, how often rightly so.

    A figure whose denominator is zero is 0: precision of a class that was never the answer, recall of a class
    without images (its support of 0 says so).

    Raises:
        ValueError: a label or an answer that is not among `classes`.
    """
    true_ids, predicted_ids = class_ids(labels, classes), class_ids(predicted, classes)
    support = np.bincount(true_ids, minlength=len(classes))
    answers = np.bincount(predicted_ids, minlength=len(classes))
    hits = np.bincount(true_ids[true_ids == predicted_ids], minlength=len(classes))
    return pd.DataFrame(
        {
            "label": list(classes),
            "precision": _ratio(hits, answers),
            "recall": _ratio(hits, support),
            "f1": _ratio(2 * hits, support + answers),
            "support": support,
            "answers": answers,
            "hits": hits,
        }
    )


def macro_f1(table: pd.DataFrame) -> float | None:
    """The mean F1 of the classes that have images, every class counting the same; None where none has.

    A class without images is left out: it could only ever score 0, whatever the model does.
    """
    measured = table.loc[table["support"] > 0, "f1"]
    return float(measured.mean()) if len(measured) else None


def count_scores(support: np.ndarray, answers: np.ndarray, hits: np.ndarray) -> dict[str, np.ndarray]:
    """Every score that depends on three counts a class alone.

    Accuracy is the share of right answers; balanced accuracy the mean recall. Macro scores are means over the classes
    that have images (a class without any could only score 0), weighted ones count each class by its images, so that
    weighted recall is accuracy. Kappa is (accuracy - e) / (1 - e) with e the accuracy expected of the same answers
    given at random (J. Cohen, "A coefficient of agreement for nominal scales", 1960); MCC, Matthews' correlation, is
    for more than two classes the one of J. Gorodkin, "Comparing two K-category assignments by a K-category
    correlation coefficient", 2004.

    Args:
        support: images of each class, (..., C); not all 0 in any row.
        answers: how often each class was the answer, (..., C), with the same sum.
        hits: how often rightly so, (..., C). None of the three need be whole numbers.

    Returns:
        Scores by name, (...): 0..1, kappa and MCC -1..1. Where a denominator is zero, precision, F1 and MCC are 0,
        and kappa (one class only) is NaN.
    """
    there, total = support > 0, support.sum(axis=-1)
    recall = _ratio(hits, support)
    precision = np.where(there, _ratio(hits, answers), 0.0)
    f1 = np.where(there, _ratio(2 * hits, support + answers), 0.0)
    share = support / total[..., None]
    accuracy = hits.sum(axis=-1) / total
    expected = (share * answers).sum(axis=-1) / total
    above = np.where(np.abs(accuracy - expected) < 1e-12, 0.0, accuracy - expected)  # rounding is no agreement
    spread = (1 - (share**2).sum(axis=-1)) * (1 - ((answers / total[..., None]) ** 2).sum(axis=-1))
    scores = {"accuracy": accuracy, "balanced_accuracy": recall.sum(axis=-1) / there.sum(axis=-1)}
    for name, figure in (("precision", precision), ("recall", recall), ("f1", f1)):
        scores[f"macro_{name}"] = figure.sum(axis=-1) / there.sum(axis=-1)
        scores[f"weighted_{name}"] = (share * figure).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores["kappa"] = np.where(expected < 1, above / (1 - expected), np.nan)
    scores["mcc"] = _ratio(above, np.sqrt(np.maximum(spread, 0)))
    return scores


def brier_terms(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Each image's squared distance between probabilities and truth over all classes, 0..2; their mean is the Brier
    score as G. W. Brier defined it ("Verification of forecasts expressed in terms of probability", 1950).

    Args:
        probabilities: (N, C), rows sum to 1.
        targets: the column of each row's true class.
    """
    of_target = probabilities[np.arange(len(targets)), targets]
    return np.einsum("ij,ij->i", probabilities, probabilities) - 2 * of_target + 1


def ranks(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How many classes are ranked before each row's true one; of equally likely ones the first column is first.

    Args and shapes are those of `brier_terms`.
    """
    of_target = probabilities[np.arange(len(targets)), targets][:, None]
    ahead = (probabilities > of_target).sum(axis=1)
    before = np.arange(probabilities.shape[1]) < np.asarray(targets)[:, None]
    return ahead + ((probabilities == of_target) & before).sum(axis=1)


def class_ids(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """The place of each name in `classes`.

    Raises:
        ValueError: a name that is not among them.
    """
    ids = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(list(names), dtype=object))
    if (ids < 0).any():
        strangers = sorted({name for name, number in zip(names, ids, strict=True) if number < 0})
        raise ValueError(f"not among the classes: {', '.join(strangers[:10])}")
    return ids


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """0 where the denominator is 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) != 0)
