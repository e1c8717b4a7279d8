"""The pre-flight check of a run: a few real steps in a helper process tell what the whole would take.

What it measures and how it counts is in `core.training.trials.preflight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.runs.trials import Trial


@dataclass(frozen=True)
class Forecast:
    """What a run would take, measured.

    Attributes:
        seconds: the whole run from start to evaluation if every epoch is trained; early stopping may end it sooner.
        phases: the same phase by phase, in order, seconds.
        images_per_s: training images a second, loading and learning together.
        loader_images_per_s: what loading and augmenting could deliver by itself.
        compute_images_per_s: what learning could take in by itself.
        bound: which of the two holds the other up.
        peak_memory_mb: most memory the run takes, of the GPU where it trains on one; `free_memory_mb` is what is there.
        disk_mb: what it writes, cached images included; `free_disk_mb` is what is there.
        batch_size, accumulate: what fits in memory: as set, or a smaller batch with the same images a step.
        device: `cpu` or `cuda`.
        refusals: why the run cannot work as set, each with what would.
        advice: what would make it faster or safer.
    """

    seconds: float
    phases: dict[str, float]
    images_per_s: float
    loader_images_per_s: float
    compute_images_per_s: float
    bound: Literal["loader", "compute"]
    peak_memory_mb: float
    free_memory_mb: float
    disk_mb: float
    free_disk_mb: float
    batch_size: int
    accumulate: int
    device: str
    refusals: list[str]
    advice: list[str]


PREFLIGHT = Trial("preflights", "core.training.trials.preflight", lambda answer, _: Forecast(**answer))
