"""One remark of a diagnosis, and the intervals that decide whether the figures bear it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from core.evaluation.metrics import wilson_interval
from core.wording import interval, percent

Kind = Literal[
    "leak",
    "suspicious_test",
    "label_noise",
    "few_images",
    "learning_rate_high",
    "learning_rate_low",
    "still_learning",
    "under_fitting",
    "over_fitting",
]

# A dozen questions are asked of every run. At 95 % each every second sound run would be blamed for something.
Z99 = 2.575829


@dataclass(frozen=True)
class Remark:
    """Something that is probably wrong with a training or its data.

    Attributes:
        title: a few words.
        finding: what was seen, with the figures it rests on. May hold names of the user's.
        advice: what to try.
        figures: those of `finding`, as plain values.
    """

    kind: Kind
    title: str
    finding: str
    advice: str
    figures: dict[str, float | int | str]


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """0..1; 0 of none."""
        return self.hits / self.total if self.total else 0.0

    def ends(self, z: float = Z99) -> tuple[float, float]:
        """Wilson's interval, of 99 % unless told; everything where there are none."""
        return wilson_interval(self.hits, self.total, z) if self.total else (0.0, 1.0)

    def shown(self) -> str:
        """`97.3 % (95.1-98.8)`."""
        return f"{percent(self.value)} ({interval(*self.ends())})"


def share_of(accuracy: float, total: int) -> Share:
    """What an accuracy 0..1 of so many images is in images."""
    return Share(min(total, round(accuracy * total)), total)


def lead(a: Share, b: Share, z: float = Z99) -> tuple[float, float]:
    """The interval of a's share minus b's, of different images, -1..1; of 99 % unless told.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998), 873-890, method 10: from the ends of both Wilson intervals. Stays honest at 0 and 100 %.
    """
    (low_a, high_a), (low_b, high_b) = a.ends(z), b.ends(z)
    difference = a.value - b.value
    below = np.hypot(a.value - low_a, high_b - b.value)
    above = np.hypot(high_a - a.value, b.value - low_b)
    return float(difference - below), float(difference + above)
