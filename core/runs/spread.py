"""How far runs of the same settings lie apart, and what that says of any two of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from core.wording import count, percent

# The 97.5 % point of Student's t with 1, 2, ... degrees of freedom, from any printed table.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_T += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
_Z = 1.959964


@dataclass(frozen=True)
class Spread:
    """Test accuracies (0..1) of runs that differ in their seed alone.

    Attributes:
        std: standard deviation between runs, with n - 1.
        low, high: 95 % interval of the mean over all seeds, by Student's t.
        chance: two runs of these settings differ by more than this in 1 of 20 pairs.
    """

    num_runs: int
    mean: float
    std: float
    minimum: float
    maximum: float
    low: float
    high: float
    chance: float

    def sentence(self) -> str:
        """What it says, in words."""
        return (
            f"Over {count(self.num_runs, 'seed')} test accuracy is {percent(self.mean)} on average (95 % interval of "
            f"the mean {self.low * 100:.1f}-{self.high * 100:.1f}), with a standard deviation of "
            f"{self.std * 100:.2f} points between runs, from {percent(self.minimum)} to {percent(self.maximum)}. "
            f"Two runs of these settings lie up to about {self.chance * 100:.1f} points apart by the luck of the seed."
        )


def spread(accuracies: Sequence[float]) -> Spread | None:
    """Mean and spread; None for fewer than two runs.

    The interval of the mean is mean +- t s / sqrt(n). Two runs differ with standard deviation s sqrt(2), so 1 pair of
    20 by more than t s sqrt(2); t makes up for s itself being known from few runs. It is about the luck of training
    alone: all runs share their test images, whose number limits what any of them shows.
    """
    num = len(accuracies)
    if num < 2:
        return None
    mean, std = statistics.fmean(accuracies), statistics.stdev(accuracies)
    # Beyond the table the first terms of its expansion, z + (z^3 + z) / 4n; Abramowitz and Stegun (1964), 26.7.5.
    t = _T[num - 2] if num - 2 < len(_T) else _Z + (_Z**3 + _Z) / (4 * (num - 1))
    half = t * std / math.sqrt(num)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    chance = min(1.0, t * std * math.sqrt(2))
    return Spread(num, mean, std, min(accuracies), max(accuracies), low, high, chance)
