"""How fast a network answers: images a second, and how long one answer takes; measured, not estimated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.inference.classifier import Forward

SINGLE, BATCH = 1, 32  # images a call: one as it comes, and as many as a queue would hand over
FEWEST_CALLS = 20  # from which a 95th percentile is more than the slowest call
WARM_UP_CALLS = 3  # the first ones set up memory and threads
SECONDS = 2.0  # that a measurement goes on for, once it has enough calls
MOST_SECONDS = 20.0  # after which it ends with as many calls as it has


@dataclass(frozen=True)
class Speed:
    """How fast calls of one batch size were.

    Attributes:
        images_per_s: images answered by the seconds it took, calls one after the other.
        latency_ms_p50, latency_ms_p95: milliseconds that half, and 95 %, of the calls stayed within.
        batch_size: images a call.
        threads: that worked on one call; 0 where the engine chose.
        calls: that were timed.
    """

    images_per_s: float
    latency_ms_p50: float
    latency_ms_p95: float
    batch_size: int
    threads: int
    calls: int


def measure(forward: Forward, images_NCHW: np.ndarray, threads: int = 0, seconds: float = SECONDS) -> Speed:
    """Time calls with all of these images at once, after a few that are not counted.

    What is timed is the network alone: no decoding, no normalising. Other work on the machine slows it down.

    Args:
        images_NCHW: float32 (N, 3, H, W), normalised; N is the batch size, at least 1.
        threads: that `forward` was opened with; only noted.
        seconds: to go on for, with `FEWEST_CALLS` at least, unless these take longer than `MOST_SECONDS`.
    """
    began = time.perf_counter()
    for _ in range(WARM_UP_CALLS):
        forward(images_NCHW)
        if time.perf_counter() - began > MOST_SECONDS / 4:
            break
    taken: list[float] = []
    began = now = time.perf_counter()
    while now - began < (seconds if len(taken) >= FEWEST_CALLS else MOST_SECONDS) or not taken:
        forward(images_NCHW)
        before, now = now, time.perf_counter()
        taken.append(now - before)
    return of_calls(taken, len(images_NCHW), threads)


def measure_both(
    forward: Forward, images_NCHW: np.ndarray, threads: int = 0, seconds: float = SECONDS
) -> tuple[Speed, Speed]:
    """`measure` at batch `SINGLE` and at batch `BATCH`.

    Args:
        images_NCHW: as above, of any number; they are repeated to fill a batch.
    """
    places = np.arange(BATCH) % len(images_NCHW)
    single, batch = images_NCHW[:SINGLE], images_NCHW[places]
    return measure(forward, single, threads, seconds), measure(forward, batch, threads, seconds)


def of_calls(seconds: Sequence[float], batch_size: int, threads: int = 0) -> Speed:
    """The same from seconds that were measured elsewhere, one a call, warm-up left out.

    Raises:
        ValueError: no call, or one that took no time.
    """
    taken = np.asarray(seconds, float)
    if not len(taken) or not (taken > 0).all():
        raise ValueError(f"{len(taken)} calls cannot be timed")
    half, most = (1000 * np.percentile(taken, (50, 95))).tolist()
    return Speed(float(batch_size * len(taken) / taken.sum()), half, most, batch_size, threads, len(taken))
