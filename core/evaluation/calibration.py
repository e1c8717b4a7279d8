"""Whether a confidence means what it says, and the one number that mends it: the temperature."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.evaluation.evaluated import Evaluated
from core.evaluation.metrics import brier_terms, class_ids, wilson_interval
from core.evaluation.predictions import PROBABILITY_FLOOR
from core.inference.bundle import note_trust

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0  # a temperature at either end says that the model ranks classes no better than chance
FEWEST = 20  # validation images from which a temperature is fitted
_FLOOR = 1e-38  # the least a stored probability is taken for; below it float32 knows only zero


def rescaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The softmax of the logits divided by `temperature`, from their softmax: float64, rows sum to 1.

    Logits are the logarithms of the probabilities but for a constant in each row, which softmax takes out again.

    Args:
        probabilities: (N, C), rows sum to 1, at temperature 1.
    """
    if temperature == 1:
        return np.asarray(probabilities, np.float64)
    scores = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    spread = np.exp(scores - scores.max(axis=1, keepdims=True))
    return spread / spread.sum(axis=1, keepdims=True)


def negative_log_likelihood(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean -ln of the true class's probability, nats; a probability counts as at least `PROBABILITY_FLOOR`.

    Args:
        targets: the true class of each row, as its column.
    """
    return float(-np.log(np.maximum(_of_target(probabilities, targets), PROBABILITY_FLOOR)).mean())


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """What confidences say beside how often they are right, in bins of equal width that hold an image.

    Args:
        confidence: the predicted class's probability, (N,), 0..1.
        right: whether that class is the true one, (N,).

    Returns:
        Rows of low and high (the bin's ends; low itself belongs to the bin below), images, confidence (their mean),
        accuracy (share right), accuracy_low and accuracy_high (Wilson's 95 % interval of it), in order.
    """
    # As in the source, a bin is open below: a confidence of exactly 0.2 is in (0.13, 0.2].
    place = np.clip(np.ceil(np.asarray(confidence, float) * bins).astype(int) - 1, 0, bins - 1)
    images = np.bincount(place, minlength=bins)
    said = np.bincount(place, weights=confidence, minlength=bins)
    held = np.bincount(place, weights=np.asarray(right, float), minlength=bins)
    rows = []
    for number in np.flatnonzero(images).tolist():
        low, high = wilson_interval(int(held[number]), int(images[number]))
        rows.append(
            {
                "low": number / bins,
                "high": (number + 1) / bins,
                "images": int(images[number]),
                "confidence": float(said[number] / images[number]),
                "accuracy": float(held[number] / images[number]),
                "accuracy_low": low,
                "accuracy_high": high,
            }
        )
    return rows


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The mean gap between confidence and accuracy over the bins of `reliability`, each by its share of images: 0..1.

    A few hundred images give a perfectly calibrated model some hundredths by chance alone. Source: C. Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, with its 15 bins.
    """
    rows = reliability(confidence, right, bins)
    total = sum(row["images"] for row in rows)
    return float(sum(row["images"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / max(1, total))


def fit_temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature that makes the true classes likeliest, within `COLDEST`..`HOTTEST`.

    Above 1 the model was too sure of itself, below 1 not sure enough. It changes no ranking of classes and so no
    accuracy. Source: Guo et al. 2017. The loss is convex in 1 / temperature: Newton's steps, kept between ends that
    close in on the one minimum.

    Args:
        probabilities: (N, C) at temperature 1, of images that were not learned from, N at least 1.
    """
    scores = np.log(np.maximum(probabilities, _FLOOR))
    scores -= scores.max(axis=1, keepdims=True)
    wanted = float(_of_target(scores, targets).mean())
    low, high, coldness = 1 / HOTTEST, 1 / COLDEST, 1.0
    while high / low > 1 + 1e-6:
        weights = np.exp(scores * coldness)
        weights /= weights.sum(axis=1, keepdims=True)
        expected = (weights * scores).sum(axis=1)
        slope = float(expected.mean()) - wanted
        low, high = (low, coldness) if slope > 0 else (coldness, high)
        curvature = float(((weights * scores**2).sum(axis=1) - expected**2).mean())
        step = slope / curvature if curvature > 0 else math.inf
        if abs(step) < 1e-7 * coldness:
            break
        guess = coldness - step
        coldness = guess if low < guess < high else math.sqrt(low * high)
    return 1 / coldness


def section(evaluated: Evaluated) -> dict[str, Any]:
    """Fit the temperature on the validation images, keep it in the bundle, and say what it changes.

    Returns:
        temperature; fitted_on: validation images; reason: why it was left at 1, else None; and for each split that has
        images, `val` and `test`: before and after, each nll, ece, brier and the rows of `reliability`. The
        figures of `val` after are those of the images it was fitted on: `test` is the proof.
    """
    rows, probabilities = evaluated.split("val")
    targets = class_ids(rows["label"].tolist(), evaluated.classes)
    temperature, reason = 1.0, None
    if len(rows) < FEWEST:
        reason = f"there are {len(rows)} validation images, and {FEWEST} are needed"
    elif len(evaluated.classes) < 2:
        reason = "there is one class only"
    elif bool((probabilities.argmax(axis=1) == targets).all()):
        # The likelier the better without end: the fit would run to the coldest there is and call every answer certain.
        reason = "not one validation image is wrong, so nothing shows how far its confidences can be trusted"
    else:
        temperature = fit_temperature(probabilities, targets)
    note_trust(evaluated.run.bundle, temperature=temperature)
    found: dict[str, Any] = {"temperature": temperature, "fitted_on": len(rows), "reason": reason}
    for name in ("val", "test"):
        rows, probabilities = evaluated.split(name)
        if len(rows):
            targets = class_ids(rows["label"].tolist(), evaluated.classes)
            after = rescaled(probabilities, temperature)
            found[name] = {"before": figures_at(probabilities, targets), "after": figures_at(after, targets)}
    return found


def figures_at(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """How honest these probabilities are: nll, ece, brier, mean_confidence, accuracy and the rows of `reliability`.

    Args and shapes are those of `negative_log_likelihood`.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    return {
        "nll": negative_log_likelihood(probabilities, targets),
        "ece": expected_calibration_error(confidence, right),
        "brier": float(brier_terms(probabilities, targets).mean()),
        "mean_confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "reliability": reliability(confidence, right),
    }


def _of_target(table: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return table[np.arange(len(table)), targets]
