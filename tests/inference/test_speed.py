"""How fast a network answers, from calls whose duration is known."""

from __future__ import annotations

import numpy as np
import pytest

from core.inference import speed


def test_figures_of_calls_counted_by_hand() -> None:
    found = speed.of_calls([0.010] * 18 + [0.020, 0.030], batch_size=4, threads=2)
    # 20 calls of 4 images in 0.23 s; sorted, the 95th percentile lies 0.05 of the way from the 19th to the 20th.
    assert found.images_per_s == pytest.approx(80 / 0.23)
    assert found.latency_ms_p50 == pytest.approx(10)
    assert found.latency_ms_p95 == pytest.approx(20.5)
    assert (found.batch_size, found.threads, found.calls) == (4, 2, 20)
    for impossible in ([], [0.1, 0.0]):
        with pytest.raises(ValueError, match="cannot be timed"):
            speed.of_calls(impossible, 1)


def test_both_batch_sizes_are_asked_with_warm_up_and_enough_calls() -> None:
    asked: list[int] = []

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        asked.append(len(images_NCHW))
        return np.zeros((len(images_NCHW), 2), np.float32)

    images = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    single, batch = speed.measure_both(forward, images, threads=3, seconds=0)
    assert (single.batch_size, batch.batch_size) == (1, 32)
    assert single.calls == batch.calls == speed.FEWEST_CALLS
    assert asked == [1] * (speed.WARM_UP_CALLS + 20) + [32] * (speed.WARM_UP_CALLS + 20)
    assert single.threads == batch.threads == 3
    assert single.latency_ms_p95 >= single.latency_ms_p50 > 0
