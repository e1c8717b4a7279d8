"""Images unlike any the model knows: how that is told, and how often it is said of images that are like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.evaluated import Evaluated
from core.evaluation.metrics import wilson_interval
from core.inference.bundle import FAMILIAR, note_trust
from core.inference.classifier import Classifier
from core.inference.familiar import FLAGGED, Familiar, write_familiar
from core.preprocess import PreprocessSpec
from core.runs.store import Run

MOST_KNOWN = 512  # validation images whose features the bundle keeps


class Noting:
    """A classifier that notes what its last layer is given, so that no image is read twice.

    It stands in for the classifier in `core.evaluation.predictions.predict_manifest`.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._parts: list[np.ndarray | None] = []

    @property
    def classes(self) -> Sequence[str]:
        return self._classifier.classes

    @property
    def spec(self) -> PreprocessSpec:
        return self._classifier.spec

    def logits(self, pixels_NHWC: np.ndarray, /) -> np.ndarray:
        """See `Classifier.logits`."""
        logits, features = self._classifier.logits_and_features(pixels_NHWC)
        self._parts.append(None if features is None else _compact(features))
        return logits

    def noted(self) -> np.ndarray | None:
        """The features of all images in the order they came, rows of length 1 in half precision; None without."""
        parts = [part for part in self._parts if part is not None]
        return np.concatenate(parts) if parts and len(parts) == len(self._parts) else None


def with_distances(
    run: Run, predictions: pd.DataFrame, noted: np.ndarray | None, known: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Keep features of validation images in the bundle, and give the table the column `distance` to them.

    Of a validation image that is itself kept the distance is to the others, as if it were new. Without features, or
    with too few validation images to set a threshold by, nothing is kept and there is no such column.

    Args:
        predictions: the table of `predict_manifest`.
        noted: features of the images it classified, in order.
        known: features of the others, by path.
    """
    features = _all_features(predictions, noted, known)
    val = np.flatnonzero((predictions["split"] == "val").to_numpy())
    if features is None or flagging_threshold(np.zeros(len(val))) is None:
        (run.bundle / FAMILIAR).unlink(missing_ok=True)
        return predictions
    kept = val[np.linspace(0, len(val) - 1, min(MOST_KNOWN, len(val))).round().astype(int)]
    familiar = Familiar(features[kept])
    write_familiar(run.bundle, familiar)
    distance = familiar.distances(features)
    distance[kept] = familiar.own_distances()
    place = predictions.columns.get_loc("energy") + 1
    predictions = predictions.copy(deep=False)
    predictions.insert(place, "distance", distance)
    return predictions


def flagging_threshold(scores: np.ndarray, flagged: float = FLAGGED) -> float | None:
    """The score above which an image counts as strange, so that at most `flagged` of images like these do.

    The order statistic of rank (n + 1)(1 - flagged), rounded up, as in split conformal prediction: a new image of the
    same kind exceeds it with a chance of `flagged` at most. None where there are too few for any.

    Args:
        scores: of images that were not learned from; higher = stranger.
    """
    rank = int(np.ceil((len(scores) + 1) * (1 - flagged) - 1e-9))
    return None if rank > len(scores) else float(np.sort(scores)[rank - 1])


def separation(familiar: np.ndarray, strange: np.ndarray) -> float | None:
    """The chance that a strange image scores higher than a familiar one: 0.5 says nothing, 1 tells all (AUROC)."""
    if not (len(familiar) and len(strange)):
        return None
    below = np.searchsorted(np.sort(familiar), strange, "left")
    not_above = np.searchsorted(np.sort(familiar), strange, "right")
    return float((below + not_above).mean() / (2 * len(familiar)))


@dataclass(frozen=True)
class Flagged:
    """How many of some images are called strange.

    Attributes:
        share, low, high: 0..1, the interval is Wilson's of 95 %; None without images.
    """

    images: int
    flagged: int
    share: float | None
    low: float | None
    high: float | None


def flagged(scores: np.ndarray, threshold: float) -> Flagged:
    """Count the images above the threshold."""
    images, above = len(scores), int((np.asarray(scores) > threshold).sum())
    if not images:
        return Flagged(0, 0, None, None, None)
    return Flagged(images, above, above / images, *wilson_interval(above, images))


def section(evaluated: Evaluated) -> dict[str, Any]:
    """Set the thresholds by the validation images, keep them in the bundle, and try them on the test images.

    Returns:
        measure: `distance`, or `energy` where there are no features; None where neither can be had. flags: the share
        of familiar images that is called strange by design. threshold, fitted_on (validation images) and test: the
        fields of `Flagged`.
    """
    rows = evaluated.predictions
    is_val, is_test = ((rows["split"] == name).to_numpy() for name in ("val", "test"))
    scores = {name: rows[name].to_numpy(float) for name in ("energy", "distance") if name in rows}
    limits = {name: flagging_threshold(values[is_val]) for name, values in scores.items()}
    note_trust(
        evaluated.run.bundle,
        energy_threshold=limits.get("energy"),
        distance_threshold=limits.get("distance"),
    )
    measure = next((name for name in ("distance", "energy") if limits.get(name) is not None), None)
    found: dict[str, Any] = {"measure": measure, "flags": FLAGGED, "fitted_on": int(is_val.sum())}
    if measure is None:
        return found | {"threshold": None, "test": None}
    limit = limits[measure]
    assert limit is not None
    return found | {"threshold": limit, "test": vars(flagged(scores[measure][is_test], limit))}


def _all_features(
    predictions: pd.DataFrame, noted: np.ndarray | None, known: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """Features in the order of the table, rows of length 1; None where some image has none."""
    paths = predictions["path"].tolist()
    anew = [place for place, path in enumerate(paths) if path not in known]
    if len(anew) != (0 if noted is None else len(noted)) or not paths:
        return None
    width = len(next(iter(known.values()))) if len(anew) < len(paths) else noted.shape[1]
    found = np.empty((len(paths), width), np.float16)
    if noted is not None:
        found[anew] = noted
    for place, path in enumerate(paths):
        if path in known:
            found[place] = _compact(known[path][None])[0]
    return found


def _compact(features: np.ndarray) -> np.ndarray:
    exact = np.asarray(features, np.float32)
    return (exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)).astype(np.float16)
