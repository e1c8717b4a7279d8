"""Scores every image of a dataset by every check, from what was measured of each and of all; see `checks.CHECKS`.

A score runs from 0, the worst, to 1. All methods but the searches for copies put the point from which an image is
flagged at a score of 0.5. Where that point lies depends on the dataset within fixed bounds, since a night scene is odd
among holiday photos and not in a set from an observatory: an image must be bad on its own *and* worse than its set is
wont to be, or hopeless. Never is flagged what most images are like.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.checks import CHECKS
from core.data.duplicates import Alike, exact_groups, find_alike, near_groups

_MAD_TO_SIGMA = 1.4826
_USUAL = 0.6  # of the median: nothing above it is flagged
_FAINT = 0.03  # contrast below which noise is told from shapes
_GREY_BELOW, _MOSTLY = 0.012, 0.5  # colourfulness; share of grey images from which grey is what the set is


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """The manifest with groups of duplicates, `<check>_score` and `is_<check>`; unreadable files have no scores."""
    readable = frame["error"].isna().to_numpy()
    rows = frame[readable]
    exact = exact_groups(rows["content_hash"])
    alike = find_alike(rows)
    near = near_groups(exact, alike)
    scores = {name: score(rows) for name, score in _OF_IMAGES.items()}
    scores["exact_duplicate"] = np.where(exact >= 0, 0.0, 1.0)
    scores["near_duplicate"] = near_duplicate_scores(alike)
    scores["label_conflict"] = label_conflict_scores(rows["label"], near)
    columns: dict[str, np.ndarray] = {
        "duplicate_group": _spread(exact, readable, -1, np.int32),
        "near_group": _spread(near, readable, -1, np.int32),
    }
    for check in CHECKS:
        if check.name in scores:
            score = _spread(scores[check.name], readable, np.nan, np.float32)
            columns |= {f"{check.name}_score": score, f"is_{check.name}": score < check.threshold}
    return frame.assign(**columns)


def dark_scores(rows: pd.DataFrame) -> np.ndarray:
    """By the 99th percentile of brightness: in a picture that is only dark in parts something is bright."""
    return _least(rows["brightest"], 0.20, 0.30, spread=3.5)


def bright_scores(rows: pd.DataFrame) -> np.ndarray:
    """By the 1st percentile of brightness: in a picture that is washed out nothing is dark."""
    return _least(1 - rows["darkest"], 0.12, 0.25, spread=3.5)


def blurry_scores(rows: pd.DataFrame) -> np.ndarray:
    """By `core.data.quality.sharpness`, against the set's own: skin is smooth in focus, leaves are not.

    The bounds are those of photographs blurred on purpose: with a radius of 3 pixels in 500 nearly all lie below the
    upper one, with 5 below the lower one, and few sharp photographs reach either.
    """
    return _least(rows["sharpness"], 0.018, 0.035, spread=2.5, scale=np.log)


def low_information_scores(rows: pd.DataFrame) -> np.ndarray:
    """The lower of two: by the entropy of brightness (Shannon, 1948), and by its contrast without noise.

    Entropy alone takes a plain wall with noise for a picture, contrast alone a card of two colours. What is noise in a
    picture of hardly any contrast tells its sharpness, which is 1 for noise: a darkened photograph has little contrast
    too, but it has shapes.
    """
    contrast, noise = rows["contrast"].to_numpy(float), rows["sharpness"].to_numpy(float)
    shapes = np.where(contrast < _FAINT, contrast * np.sqrt(1 - np.nan_to_num(noise)), contrast)
    by_contrast = _least(pd.Series(shapes), 0.004, 0.008, spread=3.5)
    return np.fmin(_least(rows["entropy"], 0.05, 0.28, spread=3.5), by_contrast)


def odd_size_scores(rows: pd.DataFrame) -> np.ndarray:
    """By the distance of the side (the root of the area) from the median side, as a ratio.

    What is odd: beyond five robust standard deviations, and at least 3 times larger or smaller. Downwards a standard
    deviation is 1.4826 times the distance from the median to the lower quartile, upwards to the upper one (after
    Kimber, Exploratory data analysis for possibly censored data from skewed distributions, 1990): where a web site sets
    an upper limit, most images crowd below it and sizes thin out slowly downwards, and the small ones are no strangers.
    """
    side = np.log(rows["width"].to_numpy(float) * rows["height"].to_numpy(float)) / 2
    lower, middle, upper = np.quantile(side, (0.25, 0.5, 0.75)) if len(side) else (0.0, 0.0, 0.0)
    smaller = _usual(middle - side, _MAD_TO_SIGMA * (middle - lower), np.log(3), np.log(8))
    larger = _usual(side - middle, _MAD_TO_SIGMA * (upper - middle), np.log(3), np.log(8))
    return np.minimum(smaller, larger)


def odd_aspect_ratio_scores(rows: pd.DataFrame) -> np.ndarray:
    """By how much more elongated than the median an image is, upright or lying; the measure is that of `odd_size`."""
    elongation = np.abs(np.log(rows["width"].to_numpy(float) / rows["height"].to_numpy(float)))
    return _usual(elongation - _median(elongation), _spread_of(elongation), np.log(1.75), np.log(4))


def grey_scores(rows: pd.DataFrame) -> np.ndarray:
    """By `core.data.quality.colourfulness`; not applicable in a set where half the images are grey."""
    colour = rows["colourfulness"].to_numpy(float)
    grey = colour < _GREY_BELOW
    if grey.sum() >= _MOSTLY * len(grey):
        return np.full(len(rows), np.nan)
    return np.clip(0.5 * colour / _GREY_BELOW, 0, 1)


def near_duplicate_scores(alike: Alike) -> np.ndarray:
    """By the distance to the nearest other image: 0 where the hashes are equal, just under 0.5 at the largest distance.

    An image that has copies of the same bytes only is not near, but exact.
    """
    return np.where(alike.distance >= 0, 0.499 * alike.distance / alike.allowed, 1.0)


def label_conflict_scores(labels: pd.Series, near: np.ndarray) -> np.ndarray:
    """0 for each image of a group, of the same bytes or alike, that holds more than one label; else 1."""
    members = np.flatnonzero(near >= 0)
    grouped = pd.DataFrame({"group": near[members], "label": labels.to_numpy()[members]}).groupby("group")["label"]
    scores = np.ones(len(labels))
    scores[members] = np.where(grouped.transform("nunique") > 1, 0.0, 1.0)
    return scores


_OF_IMAGES: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "dark": dark_scores,
    "bright": bright_scores,
    "blurry": blurry_scores,
    "low_information": low_information_scores,
    "odd_size": odd_size_scores,
    "odd_aspect_ratio": odd_aspect_ratio_scores,
    "grey": grey_scores,
}


def _least(
    values: pd.Series, low: float, high: float, spread: float, scale: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """Scores where more is better, 0.5 at the least that is allowed.

    That is `spread` robust standard deviations below the median, kept within `low` and `high`, and never close to the
    median itself.

    Args:
        scale: takes values to where their spread is even, such as the logarithm.
    """
    known = values.to_numpy(float)
    scaled = scale(np.maximum(known, 1e-6)) if scale else known
    fence = _median(scaled) - spread * _spread_of(scaled)
    fence = float(np.exp(fence)) if scale is np.log else fence
    least = min(max(min(fence, high), low), max(_USUAL * _median(known), 1e-6))
    return np.clip(np.where(known < least, 0.5 * known / least, 0.5 + 0.5 * (known - least) / (1 - least)), 0, 1)


def _usual(distance: np.ndarray, spread: float, low: float, high: float) -> np.ndarray:
    """Scores where less is better: 1 at no distance, 0.5 at five spreads kept within `low` and `high`."""
    most = min(max(5 * spread, low), high)
    return np.clip(1 - 0.5 * distance / most, 0, 1)


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0


def _spread_of(values: np.ndarray) -> float:
    """A standard deviation that a few wild values do not change: from the median absolute deviation."""
    return _MAD_TO_SIGMA * _median(np.abs(values - _median(values)))


def _spread(values: np.ndarray, where: np.ndarray, otherwise: float, kind: type) -> np.ndarray:
    whole = np.full(len(where), otherwise, kind)
    whole[where] = values
    return whole
