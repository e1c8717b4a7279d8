"""Whether the training images are so unevenly spread over classes that training should make up for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import OptimConfig
from core.wording import count, percent, significant

ADVISED_FROM = (
    3.0  # largest class over smallest; Buda, Maki and Mazurowski (2018) see networks suffer from small ratios
)
Remedy = Literal["optim.class_weights", "optim.sampler"]


@dataclass(frozen=True)
class Balance:
    """What is said of the class counts.

    Attributes:
        ratio: images of the largest class over those of the smallest; infinite where a class has none.
        advised: the setting that would make up for it, to be set to `balanced`; None where nothing is to be done.
        words: why, and why this one.
    """

    ratio: float
    advised: Remedy | None
    words: str


def judge(labels: Sequence[str], images: Sequence[int], optim: OptimConfig) -> Balance:
    """What to do about the classes' numbers of training images.

    Weights where every batch can be expected to hold the rarest class; where most batches have none of it, the few
    that do would be thrown off by one heavy image, so there a sampler that shows it more often.

    Args:
        labels, images: the classes and how many training images each has; at least one class.
    """
    most, least = max(images), min(images)
    rarest = labels[list(images).index(least)]
    ratio = most / least if least else math.inf
    corrected = [name for name in ("class_weights", "sampler") if getattr(optim, name) == "balanced"]
    if corrected:
        return Balance(ratio, None, f"{corrected[0]} = balanced makes up for it.")
    if ratio < ADVISED_FROM:
        return Balance(ratio, None, "No correction is called for.")
    expected = optim.batch_size * least / sum(images)
    seen = f"{rarest} has {count(least, 'image')}, {percent(least / sum(images))} of all"
    if expected >= 1:
        return Balance(
            ratio,
            "optim.class_weights",
            f"{seen}: a network that hardly ever answers it would still look good. Class weights make its mistakes "
            "cost as much as those of the others.",
        )
    return Balance(
        ratio,
        "optim.sampler",
        f"{seen}, or {significant(expected)} in a batch of {count(optim.batch_size)}: most batches hold none. A "
        "balanced sampler shows it as often as the others.",
    )
