"""Whether two ways of running a model give the same answer, image by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.inference.classifier import Forward, softmax
from core.preprocess import PreprocessSpec, normalise

TOLERANCE = 1e-4  # of a probability, on the worst image


@dataclass(frozen=True)
class Parity:
    """The outcome of a comparison.

    Attributes:
        agrees: the worst gap is within the tolerance.
        num_images: images compared.
        same_label: of those, how many get the same class from both.
        worst_gap: largest absolute difference of any class's probability on any image, 0..1.
        tolerance: what `worst_gap` may be.
        reason: why it does not agree, in words; empty where it does.
    """

    agrees: bool
    num_images: int
    same_label: int
    worst_gap: float
    tolerance: float
    reason: str


def compare(
    reference: Forward, candidate: Forward, spec: PreprocessSpec, pixel_batches: Iterable[np.ndarray]
) -> Parity:
    """Run both on the same pixels (uint8 NHWC batches) and compare every probability of every image."""
    num_images, same_label, worst_gap = 0, 0, 0.0
    for pixels in pixel_batches:
        inputs = normalise(pixels, spec)
        expected, got = softmax(reference(inputs)), softmax(candidate(inputs))
        gap = float(np.abs(expected - got).max())
        worst_gap = max(worst_gap, gap if np.isfinite(gap) else 1.0)
        same_label += int((expected.argmax(axis=1) == got.argmax(axis=1)).sum())
        num_images += len(pixels)
    agrees = num_images > 0 and worst_gap <= TOLERANCE
    reason = (
        ""
        if agrees
        else f"its probabilities differ from the weights' by up to {worst_gap:.2g} ({TOLERANCE:g} is allowed)"
    )
    if num_images == 0:
        reason = "there was no image to compare it on"
    return Parity(agrees, num_images, same_label, worst_gap, TOLERANCE, reason)
