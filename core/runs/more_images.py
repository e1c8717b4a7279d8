"""Would more images help? A learning curve's continuation, which is an extrapolation and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.wording import count, percent

MIN_SIZES = 3  # different numbers of training images; two would fit any line
DRAWS = 4000
AHEAD = 2.0  # times the images there are: farther than that no four points reach


@dataclass(frozen=True)
class Forecast:
    """The error as a power law of the number of training images, continued to `AHEAD` times as many.

    Attributes:
        exponent: how steeply the error falls: doubling the images multiplies it by 2 ** -exponent.
        num_images: `AHEAD` times the most images measured.
        accuracy, low, high: expected there, 0..1, with its 95 % interval.
        gain, gain_low, gain_high: against the law's own value at the most images measured.
        curve: images, accuracy, low, high, from the fewest measured to `num_images`; extrapolated: beyond the most.
    """

    exponent: float
    num_images: int
    accuracy: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    curve: pd.DataFrame

    def sentence(self) -> str:
        """The answer in words, with what it rests on."""
        interval = f"95 % interval {self.gain_low * 100:+.1f} to {self.gain_high * 100:+.1f} points"
        there = f"{count(self.num_images, 'training image')}, twice as many,"
        honest = (
            "This is an extrapolation along a power law, not a measurement; real curves level off sooner or later, so "
            "take it as the best case."
        )
        if self.gain_low > 0:
            return (
                f"More images would help: with {there} about {percent(self.accuracy)} is to be expected, "
                f"{self.gain * 100:+.1f} points ({interval}). {honest}"
            )
        if self.gain_high < 0.005:
            return (
                f"More images would hardly help: {there} promise {self.gain * 100:+.1f} points ({interval}). {honest}"
            )
        return (
            f"These runs cannot tell whether more images would help: {there} promise {self.gain * 100:+.1f} points "
            f"({interval}). More repeats or more test images would narrow that. {honest}"
        )


def forecast(
    num_images: Sequence[int], accuracies: Sequence[float], num_test: Sequence[int], seed: int = 0
) -> Forecast | None:
    """Fit error = a n^-b and continue it; None where fewer than `MIN_SIZES` different numbers of images were tried.

    log(error) is fitted to log(n) by least squares, each run weighed by how exactly its error is known,
    N e / (1 - e) for error e on N test images; an error is taken as (wrong + 1/2) / (N + 1), so that one of zero has a
    logarithm. The interval is a bootstrap: of each number of images runs are drawn anew with replacement, and the
    wrong answers of each from a binomial distribution. A law without a floor is the simplest that fits learning curves
    over a short range; with a handful of points a floor could not be told from it. Sources: C. Cortes et al.,
    "Learning curves: asymptotic values and rate of convergence", NIPS 6 (1993); J. Hestness et al., "Deep learning
    scaling is predictable, empirically", arXiv:1712.00409; T. Viering and M. Loog, "The shape of learning curves: a
    review", IEEE TPAMI 45 (2023), 7799-7819.

    Args:
        num_images: training images of each run.
        accuracies: its test accuracy, 0..1.
        num_test: its test images.
    """
    images, tested = np.asarray(num_images, float), np.asarray(num_test, float)
    sizes = np.unique(images)
    if len(sizes) < MIN_SIZES:
        return None
    wrong = np.round((1 - np.asarray(accuracies, float)) * tested)
    error = _error(wrong, tested)
    weights = tested * error / (1 - error)
    rng = np.random.default_rng(seed)
    drawn_runs = np.empty((DRAWS, len(images)), int)
    for size in sizes:
        at = np.flatnonzero(images == size)
        drawn_runs[:, at] = rng.choice(at, size=(DRAWS, len(at)))
    drawn = _error(rng.binomial(tested[drawn_runs].astype(int), (error[drawn_runs])), tested[drawn_runs])
    grid = np.geomspace(sizes[0], AHEAD * sizes[-1], 41)
    here = np.array([sizes[-1], AHEAD * sizes[-1]])
    slope, level = fit_line(np.log(images), np.log(error)[None], weights[None])
    slopes, levels = fit_line(np.log(images), np.log(drawn), weights[drawn_runs])

    def law(at: np.ndarray, slope: np.ndarray, level: np.ndarray) -> np.ndarray:
        return 1 - np.minimum(1.0, np.exp(level[:, None] + slope[:, None] * np.log(at)))

    best, many = law(grid, slope, level)[0], law(grid, slopes, levels)
    low, high = np.quantile(many, [0.025, 0.975], axis=0)
    now, then = law(here, slope, level)[0]
    gains = np.diff(law(here, slopes, levels), axis=1)[:, 0]
    gain_low, gain_high = np.quantile(gains, [0.025, 0.975])
    curve = pd.DataFrame(
        {"images": grid, "accuracy": best, "low": low, "high": high, "extrapolated": grid > sizes[-1] * 1.000001}
    )
    return Forecast(
        float(-slope[0]),
        int(here[1]),
        float(then),
        float(low[-1]),
        float(high[-1]),
        float(then - now),
        float(gain_low),
        float(gain_high),
        curve,
    )


def fit_line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares of each row of y on x: (slope, level) of y = level + slope x.

    Args:
        x: shape (M,) or (D, M).
        y, weights: shape (D, M).
    """
    total = weights.sum(axis=1)
    mean_x, mean_y = (weights * x).sum(axis=1) / total, (weights * y).sum(axis=1) / total
    off_x = x - mean_x[:, None]
    slope = (weights * off_x * (y - mean_y[:, None])).sum(axis=1) / (weights * off_x**2).sum(axis=1)
    return slope, mean_y - slope * mean_x


def _error(wrong: np.ndarray, tested: np.ndarray) -> np.ndarray:
    return (wrong + 0.5) / (tested + 1)
