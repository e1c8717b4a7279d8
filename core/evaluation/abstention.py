"""When a model should rather say that it is not sure: how many answers that costs, and what error it then keeps to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import DarkroomError
from core.evaluation.calibration import rescaled
from core.evaluation.evaluated import Evaluated
from core.evaluation.predictions import read_probabilities

TARGET = 0.01
PROMISE = 0.95
STARTS = (1.0, 0.75, 0.5, 0.25, 0.1)  # shares of the images, most confident first, where looking for a threshold begins
MOST_POINTS = 200


@dataclass(frozen=True)
class Threshold:
    """A confidence from which on answers are given, and what the images it was chosen on say of it.

    Attributes:
        threshold: answers of at least this confidence are given; None where no threshold keeps the promise.
        target: the share of wrong answers asked for, 0..1.
        promise: how surely the target holds for images of the same kind, 0..1.
        images, answered, wrong: of the images it was chosen on.
        bound: what share of wrong answers the promise allows for at most; None without a threshold.
        least: the images that would at least have to be answered, without one wrong, to show the target at all.
    """

    threshold: float | None
    target: float
    promise: float
    images: int
    answered: int
    wrong: int
    bound: float | None
    least: int


def upper_bound(wrong: np.ndarray | int, answered: np.ndarray | int, doubt: float) -> np.ndarray:
    """The largest error rate that `wrong` of `answered` leave possible, but for a chance of `doubt`.

    The exact one-sided bound of C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated
    in the case of the binomial", Biometrika 26 (1934); 1 where nothing was answered or all is wrong.
    """
    from scipy.special import betaincinv

    wrong, answered = np.asarray(wrong, float), np.asarray(answered, float)
    left = answered - wrong
    return np.where(left > 0, betaincinv(wrong + 1, np.maximum(left, 1e-9), 1 - doubt), 1.0)


def least_images(target: float, doubt: float) -> int:
    """How many answers without a mistake show an error of at most `target`, but for a chance of `doubt`."""
    return math.ceil(math.log(doubt) / math.log1p(-target)) if 0 < target < 1 else 1


def choose_threshold(
    confidence: np.ndarray, right: np.ndarray, target: float = TARGET, promise: float = PROMISE
) -> Threshold:
    """The threshold that answers most images and still promises the target error on new images of the same kind.

    Fixed-sequence testing: images in order of confidence, the surest first. From each of a few places that were set
    beforehand (`STARTS`) one goes on, image by image, as long as the exact bound on the error of all images
    so far stays within the target. Only the first step that may not be taken can be a mistake, so each walk needs
    one share of the doubt however long it is; the walks share the doubt alike. Source: A. Angelopoulos et al., "Learn
    then Test", 2021, section on fixed sequences with several starts; for the bound Y. Geifman and R. El-Yaniv,
    "Selective Classification for Deep Neural Networks", NeurIPS 2017.

    Args:
        confidence: (N,), calibrated or not: a threshold is in the same measure.
        right: whether the answer is right, (N,).
        target: the share of wrong answers among those given, 0..1.
        promise: how surely, 0..1.
    """
    doubt = (1 - promise) / len(STARTS)
    steps = _steps(confidence, right)
    bound = upper_bound(steps.wrong, steps.answered, doubt)
    holds = bound <= target
    best = -1
    for share in STARTS:
        place = int(np.searchsorted(steps.answered, math.ceil(share * len(confidence))))
        if place >= len(holds) or not holds[place]:
            continue
        fails = np.flatnonzero(~holds[place:])
        best = max(best, place + int(fails[0]) - 1 if len(fails) else len(holds) - 1)
    needed = least_images(target, doubt)
    if best < 0:
        return Threshold(None, target, promise, len(confidence), 0, 0, None, needed)
    return Threshold(
        float(steps.threshold[best]),
        target,
        promise,
        len(confidence),
        int(steps.answered[best]),
        int(steps.wrong[best]),
        float(bound[best]),
        needed,
    )


def smallest_target(confidence: np.ndarray, right: np.ndarray, promise: float = PROMISE) -> float | None:
    """The smallest target, in steps of a tenth of a percent, for which these images give a threshold; None without.

    To say what can be promised where the target asked for cannot.
    """
    if not len(confidence):
        return None
    doubt = (1 - promise) / len(STARTS)
    steps = _steps(confidence, right)
    bound = upper_bound(steps.wrong, steps.answered, doubt)
    places = [int(np.searchsorted(steps.answered, math.ceil(share * len(confidence)))) for share in STARTS]
    lowest = min(bound[place] for place in places if place < len(bound))
    return None if lowest > 0.5 else math.ceil(lowest * 1000) / 1000


def with_threshold(confidence: np.ndarray, right: np.ndarray, threshold: float | None) -> dict[str, Any]:
    """What a threshold does to these images.

    Returns:
        images, answered, wrong; coverage: share answered; error: share wrong of those answered, and error_low and
        error_high: its exact 95 % interval (Clopper and Pearson); None where nothing was answered.
    """
    given = np.ones(len(confidence), bool) if threshold is None else np.asarray(confidence) >= threshold
    answered, wrong = int(given.sum()), int((given & ~np.asarray(right, bool)).sum())
    interval: tuple[float | None, float | None] = (None, None)
    if answered:
        low = 0.0 if wrong == 0 else 1 - float(upper_bound(answered - wrong, answered, 0.025))
        interval = (low, float(upper_bound(wrong, answered, 0.025)))
    return {
        "images": len(confidence),
        "answered": answered,
        "wrong": wrong,
        "coverage": answered / len(confidence) if len(confidence) else None,
        "error": wrong / answered if answered else None,
        "error_low": interval[0],
        "error_high": interval[1],
    }


def coverage_curve(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """The error among the answers given, for falling thresholds, in at most `MOST_POINTS` rows.

    Returns:
        Rows of threshold, coverage (share of images answered, rising) and error (share wrong among them).
    """
    if not len(confidence):
        return []
    steps = _steps(confidence, right)
    kept = np.unique(np.linspace(0, len(steps.answered) - 1, min(MOST_POINTS, len(steps.answered))).round().astype(int))
    return [
        {
            "threshold": float(steps.threshold[place]),
            "coverage": float(steps.answered[place] / len(confidence)),
            "error": float(steps.wrong[place] / steps.answered[place]),
        }
        for place in kept
    ]


def area_under_curve(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """The mean error over all coverages, 0..1: how well confidence tells right from wrong; None without images.

    Source: Geifman et al., "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019 (AURC).
    """
    if not len(confidence):
        return None
    order = np.argsort(-np.asarray(confidence), kind="stable")
    wrong = ~np.asarray(right, bool)[order]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def answers(rows: pd.DataFrame, probabilities: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """The calibrated confidence of each image, and whether its answer is right.

    Args:
        rows: label and predicted of each image.
        probabilities: (N, C) of the same images, at temperature 1.
    """
    confidence = rescaled(probabilities, temperature).max(axis=1) if len(rows) else np.empty(0)
    return confidence, (rows["label"] == rows["predicted"]).to_numpy()


def read_answers(run_folder: Path, temperature: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`answers` of a run's validation and test images, by split.

    Raises:
        DarkroomError: the run has no predictions, or they are damaged.
    """
    found = {}
    for split in ("val", "test"):
        stored = read_probabilities(run_folder, split)
        if stored is None:
            raise DarkroomError("No predictions are stored with this run.", "Evaluate the run again.")
        found[split] = answers(*stored, temperature)
    return found


def section(evaluated: Evaluated) -> dict[str, Any]:
    """What abstaining could promise; the section `calibration` must come before.

    Returns:
        promise; targets: for some target errors the threshold chosen on the validation images and what it does to the
        test images; curve and area: of the test images.
    """
    temperature = evaluated.report["calibration"]["temperature"]
    found = {name: answers(*evaluated.split(name), temperature) for name in ("val", "test")}
    rows = []
    for target in (0.005, TARGET, 0.02, 0.05, 0.1):
        chosen = choose_threshold(*found["val"], target)
        row: dict[str, Any] = {"target": target, "threshold": chosen.threshold, "bound": chosen.bound}
        row |= {"least": chosen.least, "answered": chosen.answered, "wrong": chosen.wrong, "images": chosen.images}
        rows.append(
            row | {"test": None if chosen.threshold is None else with_threshold(*found["test"], chosen.threshold)}
        )
    return {
        "promise": PROMISE,
        "smallest_target": smallest_target(*found["val"]),
        "targets": rows,
        "curve": coverage_curve(*found["test"]),
        "area": area_under_curve(*found["test"]),
    }


@dataclass(frozen=True)
class _Steps:
    """Every threshold that parts the images otherwise, falling, and how many images it answers and gets wrong."""

    threshold: np.ndarray
    answered: np.ndarray
    wrong: np.ndarray


def _steps(confidence: np.ndarray, right: np.ndarray) -> _Steps:
    order = np.argsort(-np.asarray(confidence), kind="stable")
    falling = np.asarray(confidence, float)[order]
    last = np.append(falling[1:] < falling[:-1], True)[: len(falling)]  # images of one confidence come together
    places = np.flatnonzero(last)
    wrong = np.cumsum(~np.asarray(right, bool)[order])
    return _Steps(falling[places], places + 1, wrong[places])
