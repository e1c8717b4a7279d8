"""How far a figure from so many test images may be from the truth: 95 % intervals, each by a bootstrap.

Where a bootstrap's spread is known in closed form (a share, a mean) that is used in place of drawing. How often these
intervals hold the truth is measured by `benchmarks/evaluation.py` and checked in tests. Where the plain bootstrap is
known to fall short, a class in which by chance no mistake was seen, a fraction of one is added (`mean_rate_error`).
"""

from __future__ import annotations

import numpy as np

from core.evaluation.metrics import count_scores, wilson_ends

Z95 = 1.959964
REPLICATES = 1000
CALIBRATION_NOISE = 1000  # draws at each scale of the gaps
CALIBRATION_SCALES = np.linspace(0, 2, 41)
CALIBRATION_TAILS = (0.025, 0.018)  # below and above; see `calibration_interval`
UNSEEN = 0.25  # images added to the right and to the wrong ones of each class; see `mean_rate_error`
_DRAWN_AT_ONCE = 4_000_000


def score_errors(confusion: np.ndarray, replicates: int = REPLICATES, seed: int = 0) -> dict[str, float]:
    """The standard error of every score of `count_scores`, by the bootstrap.

    Drawing N images with replacement and counting them is drawing the cells of their confusion matrix from a
    multinomial distribution with the shares found, which takes as long for a million images as for a hundred.
    Source: B. Efron, "Bootstrap methods: another look at the jackknife", 1979.

    Args:
        confusion: counts (C, C), rows the true class; at least one image.
    """
    lots = np.random.default_rng(seed)
    true, answered = np.nonzero(confusion)
    counts = confusion[true, answered]
    num_images, num_classes = int(counts.sum()), len(confusion)
    found: dict[str, list[np.ndarray]] = {}
    step = max(1, _DRAWN_AT_ONCE // len(counts))
    for start in range(0, replicates, step):
        drawn = lots.multinomial(num_images, counts / num_images, size=min(step, replicates - start))
        support = _by_class(drawn, true, num_classes)
        answers = _by_class(drawn, answered, num_classes)
        right = true == answered
        hits = _by_class(drawn[:, right], true[right], num_classes)
        for name, values in count_scores(support, answers, hits).items():
            found.setdefault(name, []).append(values)
    spreads = {name: np.concatenate(parts) for name, parts in found.items()}
    finite = {name: values[np.isfinite(values)] for name, values in spreads.items()}
    return {name: float(np.std(values)) if len(values) else 0.0 for name, values in finite.items()}


def score_interval(value: float, error: float, num_images: float, lowest: float = 0.0) -> tuple[float, float]:
    """The interval of a score between `lowest` and 1 whose bootstrap has that standard error.

    Wilson's interval for the share that `value` is of its range, of as many images as would give a share that standard
    error. For accuracy that is Wilson's interval itself. A plain bootstrap interval covers too little near 100 % and
    has no width at all on a flawless table; this one is then as wide as for `num_images` right answers of as many.

    Args:
        num_images: what a flawless table is taken to consist of; see `images_behind_a_mean`.
    """
    span = 1 - lowest
    share, spread = min(1.0, max(0.0, (value - lowest) / span)), error / span
    # A score at either end, or one whose resamples all agree, says nothing about its own spread.
    known = spread > 0 and 0 < share < 1
    alike = min(share * (1 - share) / spread**2, 1e15) if known else num_images
    low, high = wilson_ends(np.array(share), np.array(float(alike)))
    return lowest + span * float(low), lowest + span * float(high)


def mean_rate_error(hits: np.ndarray, totals: np.ndarray) -> float:
    """The standard error of the mean of the classes' rates, `hits` of `totals` images each.

    That of the bootstrap in closed form, but with `UNSEEN` right and wrong images added to each class. Without them a
    class whose mistakes are too rare to be among these images passes for one that makes none, and the interval of the
    mean comes out too narrow: of 150 images of two uneven classes with 97 % right, 92 % of the intervals of balanced
    accuracy held the truth, and with them 96 %. Of 0.25, 0.5 and 1 tried on ten tables of 2 to 10 classes, 0.25 came
    nearest to 95 % (94.5 to 97.8 %); Wilson intervals of the classes added up by the method of variance estimates
    recovery (Zou and Donner 2008) held 87 to 97 %.

    Args:
        totals: (C,); classes without any are in no mean's error.
    """
    there = totals > 0
    more = totals[there] + 2 * UNSEEN
    rates = (hits[there] + UNSEEN) / more
    return float(np.sqrt((rates * (1 - rates) / more).sum()) / max(1, there.sum()))


def images_behind_a_mean(support: np.ndarray) -> float:
    """How many images are as telling of a rate that all classes share as the mean of the classes' own rates is.

    The mean of C rates, each of n images, has the variance p (1 - p) sum(1 / n) / C^2: that of C^2 / sum(1 / n) images.
    """
    there = support[support > 0]
    return float(len(there) ** 2 / (1 / there).sum())


def loss_interval(terms: np.ndarray) -> tuple[float, float]:
    """The interval of the mean of losses, each at least 0 and without an upper end.

    On the scale of its logarithm, where the mean of skewed terms is spread more evenly and stays above 0. The standard
    error is the bootstrap's in closed form: the terms' standard deviation over the root of their number.
    """
    mean, error = float(terms.mean()), float(terms.std() / np.sqrt(len(terms)))
    factor = float(np.exp(Z95 * error / mean)) if mean > 0 else 1.0
    return mean / factor, mean * factor


def calibration_interval(confidence: np.ndarray, right: np.ndarray, bins: int, seed: int = 0) -> tuple[float, float]:
    """The interval of the expected calibration error with bins of equal width.

    Chance alone opens a gap in every bin, so the error of a sample lies above the truth, and resamples lie higher
    still: their percentiles miss the truth of a well calibrated model nearly always. Asked here instead is how large
    the true gaps can be: which multiples of the gaps found would, with the noise of this sample added, give an error
    as small (or as large) as the one found in no more than so many draws. Source of such intervals: J. Carpenter,
    "Test inversion bootstrap confidence intervals", JRSS B 61 (1999). As the gaps found are noisy in shape too,
    the upper end came out short in simulations; `CALIBRATION_TAILS` is the third pair tried on models such as those of
    the benchmark (2.5 % above covered 92 to 96 %, 1.25 % up to 97.6 %), not derived.

    Args:
        confidence: the answer's probability, (N,), 0..1, N at least 1.
        right: whether it was right, (N,).
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins are open below
    terms, num_images = confidence - right, len(confidence)
    gaps = np.bincount(place, terms, bins) / num_images
    squares = np.bincount(place, terms**2, bins) / num_images
    noise = np.sqrt(np.maximum(squares - gaps**2, 0) / num_images)
    lots = np.random.default_rng(seed).standard_normal((CALIBRATION_NOISE, bins)) * noise
    found = float(np.abs(gaps).sum())
    under = np.array([(np.abs(scale * gaps + lots).sum(axis=1) < found).mean() for scale in CALIBRATION_SCALES])
    low, high = _falls_to(under, 1 - CALIBRATION_TAILS[0]), _falls_to(under, CALIBRATION_TAILS[1])
    return min(low * found, 1.0), min(high * found, 1.0)


def _falls_to(shares: np.ndarray, level: float) -> float:
    """The scale at which the falling `shares` pass `level`; 0 where they begin below it."""
    above = np.flatnonzero(shares >= level)
    if not len(above):
        return 0.0
    last = int(above[-1])
    if last == len(shares) - 1:
        return float(CALIBRATION_SCALES[-1])
    part = (shares[last] - level) / (shares[last] - shares[last + 1])
    return float(CALIBRATION_SCALES[last] + part * (CALIBRATION_SCALES[last + 1] - CALIBRATION_SCALES[last]))


def _by_class(drawn: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Columns that belong to the same class added up: (R, K) -> (R, C)."""
    sums = np.zeros((len(drawn), num_classes))
    order = np.argsort(classes, kind="stable")
    there, starts = np.unique(classes[order], return_index=True)
    if len(there):
        sums[:, there] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums
