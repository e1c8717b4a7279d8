"""One class against the rest: ROC and precision-recall curves, their areas, and what a threshold costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.evaluation.intervals import score_interval

MOST_POINTS = 400  # of a curve that is drawn


@dataclass(frozen=True)
class Curves:
    """Both curves of one class, from the highest threshold down.

    Attributes:
        points: threshold, false_positive_rate, recall, precision (all 0..1), one row a threshold at which something
            changes, thinned to `MOST_POINTS`; the first row, above every score, accepts nothing (its precision is 1).
        auc: the area below the ROC curve: how often a random image of the class scores above a random other one.
        auc_low, auc_high: its 95 % interval.
        average_precision: the area below the precision-recall curve, added up in steps.
        share: of the images that are of the class: what average precision is without skill.
    """

    points: pd.DataFrame
    auc: float
    auc_low: float
    auc_high: float
    average_precision: float
    share: float


def one_vs_rest(scores: np.ndarray, positive: np.ndarray) -> Curves | None:
    """Curves of a class from its probability for every image; None where all images are of it, or none is.

    Sources: T. Fawcett, "An introduction to ROC analysis", 2006; the area's variance by E. DeLong, D. DeLong and
    D. Clarke-Pearson, "Comparing the areas under two or more correlated ROC curves", 1988, made an interval by
    `core.evaluation.intervals.score_interval`.

    Args:
        scores: (N,), higher is more of the class.
        positive: whether it is of the class, bool (N,).
    """
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    if not num_positive or not num_negative:
        return None
    thresholds, accepted, hits = _steps(scores, positive)
    recall = hits / num_positive
    alarms = (accepted - hits) / num_negative
    precision = np.divide(hits, accepted, out=np.ones(len(hits)), where=accepted > 0)
    auc, error = _area(hits, accepted - hits)
    low, high = score_interval(auc, error, min(num_positive, num_negative))
    average = float((np.diff(recall) * precision[1:]).sum())
    kept = _thinned(len(thresholds))
    points = {"threshold": thresholds, "false_positive_rate": alarms, "recall": recall, "precision": precision}
    table = pd.DataFrame({name: values[kept] for name, values in points.items()})
    return Curves(table, auc, low, high, average, num_positive / len(positive))


def threshold_costs(
    scores: np.ndarray, positive: np.ndarray, thresholds: np.ndarray, cost_missed: float, cost_alarm: float
) -> pd.DataFrame:
    """What answering "positive" from each threshold on would get wrong.

    Args:
        scores: the positive class's probability, (N,), N at least 1.
        positive: whether it is of that class, bool (N,).
        cost_missed: of an image of the class that is not recognised; cost_alarm: of another taken for it.

    Returns:
        threshold, missed, alarms, hits, refused (images; hits and refused are the right answers of the two classes),
        cost (a hundred images).
    """
    of_class, others = np.sort(scores[positive]), np.sort(scores[~positive])
    missed = np.searchsorted(of_class, thresholds, side="left")
    refused = np.searchsorted(others, thresholds, side="left")
    alarms = len(others) - refused
    cost = 100 * (cost_missed * missed + cost_alarm * alarms) / len(scores)
    figures = {"threshold": thresholds, "missed": missed, "alarms": alarms}
    return pd.DataFrame(figures | {"hits": len(of_class) - missed, "refused": refused, "cost": cost})


def cheapest(costs: pd.DataFrame) -> pd.Series:
    """The row of the least cost; of several in a row the middle one, as the ends are the least sure."""
    best = np.flatnonzero(costs["cost"] == costs["cost"].min())
    together = best[: int((np.diff(best, append=best[-1] + 2) == 1).argmin()) + 1]
    return costs.iloc[int(together[len(together) // 2])]


def _steps(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct thresholds, falling, with how many images reach each and how many of these are positive."""
    order = np.argsort(-scores, kind="stable")
    ordered, is_positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # the last image of each score
    thresholds = np.concatenate([[np.inf], ordered[last]])
    accepted = np.concatenate([[0], last + 1])
    return thresholds, accepted, np.concatenate([[0], np.cumsum(is_positive)[last]])


def _area(hits: np.ndarray, alarms: np.ndarray) -> tuple[float, float]:
    """The area below the ROC curve and its standard error, from counts at falling thresholds."""
    new_hits, new_alarms = np.diff(hits), np.diff(alarms)
    num_hits, num_alarms = hits[-1], alarms[-1]
    # What each image at a step has behind it: the share of others scored lower, a tie counting half.
    lower = 1 - (alarms[:-1] + new_alarms / 2) / num_alarms
    higher = (hits[:-1] + new_hits / 2) / num_hits
    area = float((new_hits * lower).sum() / num_hits)
    variance = 0.0
    for weights, values, total in ((new_hits, lower, num_hits), (new_alarms, higher, num_alarms)):
        if total > 1:
            variance += float((weights * (values - area) ** 2).sum() / (total - 1) / total)
    return area, variance**0.5


def _thinned(num_points: int) -> np.ndarray:
    return np.unique(np.linspace(0, num_points - 1, min(num_points, MOST_POINTS)).round().astype(int))
