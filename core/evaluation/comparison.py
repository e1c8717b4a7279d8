"""Is B really better than A? Two runs on the same test images, image by image; pure arithmetic on their answers.

The difference in accuracy between two runs rests only on the images that one answers rightly and the other wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Z = 1.959964  # standard errors of a 95 % interval
RESAMPLES = 20_000
CERTAIN = 0.05  # a p-value below this is called a difference
Way = Literal["only_b", "only_a", "neither"]


@dataclass(frozen=True)
class Difference:
    """How much more accurate B is than A on the same test images.

    Attributes:
        num_images: tested by both.
        only_a, only_b: images that one alone answers rightly; all that speaks for one or the other.
        accuracy_a, accuracy_b: shares, 0..1.
        low, high: 95 % interval of `accuracy_b - accuracy_a`, by bootstrap.
        p_value: of McNemar's exact test.
        resolution: a difference (0..1) of about this size or less does not show in so many images, see `resolution`.
    """

    num_images: int
    only_a: int
    only_b: int
    accuracy_a: float
    accuracy_b: float
    low: float
    high: float
    p_value: float
    resolution: float

    @property
    def difference(self) -> float:
        """`accuracy_b - accuracy_a`."""
        return (self.only_b - self.only_a) / self.num_images

    @property
    def is_certain(self) -> bool:
        """Whether both say so: the test is below `CERTAIN` and the interval leaves zero out."""
        return self.p_value < CERTAIN and not self.low <= 0 <= self.high


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p-value that two classifiers are equally accurate.

    Were they, each image that only one answers rightly would be either's by the toss of a coin. The p-value is the
    chance of as uneven a count as was seen, or worse: min(1, 2 P(X <= min(only_a, only_b))) for X binomial with
    n = only_a + only_b tosses of 1/2. Computed in whole numbers. Source: Q. McNemar, "Note on the sampling error of
    the difference between correlated proportions or percentages", Psychometrika 12 (1947), 153-157, in its exact
    form; recommended for classifiers by T. G. Dietterich, Neural Computation 10 (1998), 1895-1923.

    Raises:
        ValueError: a negative count.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"{only_a} and {only_b} are not counts")
    num = only_a + only_b
    term = total = 1  # of C(num, i), from i = 0
    for i in range(min(only_a, only_b)):
        term = term * (num - i) // (i + 1)
        total += term
    return min(1.0, 2 * total / 2**num)


def paired_bootstrap(only_a: int, only_b: int, num_images: int, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of the difference in accuracy, -1..1, by drawing test images anew with replacement.

    An image counts +1 where B alone is right, -1 where A alone is, else 0, so a draw of all images is one draw from
    a multinomial distribution, whatever their number: the same as drawing them one by one. Source: B. Efron and
    R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. Where not one image differs nothing can be
    drawn but zero; see `resolution` for what may hide behind that.
    """
    chances = np.array([only_a, only_b, num_images - only_a - only_b]) / num_images
    drawn = np.random.default_rng(seed).multinomial(num_images, chances, size=RESAMPLES)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / num_images, [0.025, 0.975])
    return float(low), float(high)


def adjusted_interval(
    only_a: np.ndarray | int, only_b: np.ndarray | int, num_images: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of the difference in accuracy, -1..1, that stays honest for a dozen images; whole columns at once.

    Adds one image to each side and takes a normal interval: with p = (only + 1) / (n + 2) for either side,
    p_b - p_a +- z sqrt((p_a + p_b - (p_b - p_a)^2) / (n + 2)), cut off at -1 and 1. Source: D. G. Bonett and
    R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data",
    Journal of Educational and Behavioral Statistics 37 (2012), 479-488.
    """
    more = np.asarray(num_images) + 2
    share_a, share_b = (np.asarray(only_a) + 1) / more, (np.asarray(only_b) + 1) / more
    difference = share_b - share_a
    half = Z * np.sqrt((share_a + share_b - difference**2) / more)
    return np.maximum(difference - half, -1.0), np.minimum(difference + half, 1.0)


def resolution(only_a: int, only_b: int, num_images: int) -> float:
    """Half the width of `adjusted_interval`: a true difference of less than about this does not show."""
    low, high = adjusted_interval(only_a, only_b, num_images)
    return float(high - low) / 2


def compare(pair: pd.DataFrame) -> Difference:
    """The difference of two runs on images that both were tested on.

    Args:
        pair: one row an image, as `core.evaluation.same_test.pair_up` gives it.

    Raises:
        ValueError: no images.
    """
    if pair.empty:
        raise ValueError("no images to compare on")
    right_a = (pair["predicted_a"] == pair["label"]).to_numpy()
    right_b = (pair["predicted_b"] == pair["label"]).to_numpy()
    only_a, only_b, num = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum()), len(pair)
    low, high = paired_bootstrap(only_a, only_b, num)
    return Difference(
        num,
        only_a,
        only_b,
        float(right_a.mean()),
        float(right_b.mean()),
        low,
        high,
        mcnemar(only_a, only_b),
        resolution(only_a, only_b, num),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for having made so many comparisons at once, in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than one before it. Source: S. Holm,
    "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    corrected, least = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def against_one(found: Mapping[str, Difference]) -> pd.DataFrame:
    """Several runs against one reference, the best first.

    Columns: run; num_images; accuracy, reference (its accuracy on the same images); difference, low, high (shares);
    only_reference, only_run: images that one alone answers rightly; p_value, corrected by `holm` for the number of
    runs; certain: whether both the corrected test and the interval say that there is a difference.

    Args:
        found: by what the run is called; the reference is A, the run is B, see `compare`.
    """
    corrected = holm([one.p_value for one in found.values()])
    rows = [
        {
            "run": name,
            "num_images": one.num_images,
            "accuracy": one.accuracy_b,
            "reference": one.accuracy_a,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "only_reference": one.only_a,
            "only_run": one.only_b,
            "p_value": p_value,
            "certain": p_value < CERTAIN and not one.low <= 0 <= one.high,
        }
        for (name, one), p_value in zip(found.items(), corrected, strict=True)
    ]
    return pd.DataFrame(rows).sort_values("difference", ascending=False, kind="stable", ignore_index=True)


def per_class_differences(pair: pd.DataFrame) -> pd.DataFrame:
    """How each class fares in B against A; one row a class that has test images, by label.

    Columns: label; images; recall_a, recall_b, difference (B - A) and its 95 % interval low, high (shares, see
    `adjusted_interval`); only_a, only_b: images that one alone answers rightly; p_value: McNemar's, corrected by `holm`
    for the number of classes in which anything differs at all.

    Args:
        pair: as for `compare`.
    """
    right_a, right_b = pair["predicted_a"] == pair["label"], pair["predicted_b"] == pair["label"]
    rows = pd.DataFrame(
        {"label": pair["label"], "a": right_a, "b": right_b, "oa": right_a & ~right_b, "ob": right_b & ~right_a}
    )
    table = rows.groupby("label", sort=True, observed=True)[["a", "b", "oa", "ob"]].sum()
    images = rows["label"].value_counts().reindex(table.index).to_numpy()
    only_a, only_b = table["oa"].to_numpy(int), table["ob"].to_numpy(int)
    low, high = adjusted_interval(only_a, only_b, images)
    differing = np.flatnonzero(only_a + only_b)
    p_values = np.ones(len(table))
    p_values[differing] = holm([mcnemar(int(only_a[i]), int(only_b[i])) for i in differing])
    return pd.DataFrame(
        {
            "label": table.index.astype(str),
            "images": images,
            "recall_a": table["a"].to_numpy() / images,
            "recall_b": table["b"].to_numpy() / images,
            "difference": (only_b - only_a) / images,
            "low": low,
            "high": high,
            "only_a": only_a,
            "only_b": only_b,
            "p_value": p_values,
        }
    )


def flips(pair: pd.DataFrame, way: Way) -> pd.DataFrame:
    """The images whose answer differs in this way, those the mistaken run was surest of first.

    Args:
        pair: as for `compare`.
        way: `only_b` are right in B alone, `only_a` in A alone, `neither` are wrong in both, but taken for other
            classes.
    """
    right_a, right_b = pair["predicted_a"] == pair["label"], pair["predicted_b"] == pair["label"]
    if way == "only_b":
        chosen, sure = right_b & ~right_a, pair["confidence_a"]
    elif way == "only_a":
        chosen, sure = right_a & ~right_b, pair["confidence_b"]
    else:
        chosen = ~right_a & ~right_b & (pair["predicted_a"] != pair["predicted_b"])
        sure = pair[["confidence_a", "confidence_b"]].max(axis=1)
    found = pair[chosen].assign(sure=sure[chosen])
    return found.sort_values(["sure", "path"], ascending=[False, True], ignore_index=True).drop(columns="sure")


def setting_differences(settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Settings that are not the same in all of these runs: setting, then one column a run, in the first one's order.

    Args:
        settings: by what each run is called, which names its column; the same keys for all.
    """
    first = next(iter(settings.values()), {})
    rows = [
        {"setting": path} | {name: values[path] for name, values in settings.items()}
        for path in first
        if len({repr(values[path]) for values in settings.values()}) > 1
    ]
    return pd.DataFrame(rows, columns=["setting", *settings])
