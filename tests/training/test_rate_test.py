"""The range test is read where a person would read it: in the middle of the fall, before the blow-up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.training.trials.rate_test import has_blown_up, rates, read


def _curve(steepest: float, noise: float = 0.0) -> list[float]:
    """A loss that falls from 2.3 to 0.8 along an S around `steepest`, and blows up a hundred times above it."""
    log = np.log10(np.array(rates()) / steepest)
    fall = 2.3 - 1.5 / (1 + np.exp(-4 * log))
    blow_up = np.exp(np.clip(6 * (log - 2), None, 30))
    return (fall + blow_up + noise * np.random.default_rng(0).standard_normal(len(log))).tolist()


def test_rates_rise_by_a_constant_factor() -> None:
    tried = np.array(rates())
    assert tried[0] == pytest.approx(1e-6) and tried[-1] == pytest.approx(10)
    assert np.allclose(tried[1:] / tried[:-1], tried[1] / tried[0])


@pytest.mark.parametrize("steepest", [1e-4, 1e-3, 2e-2])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_middle_of_the_fall_is_suggested(steepest: float, noise: float) -> None:
    reading = read(rates(), _curve(steepest, noise))
    assert reading.suggestion is not None and steepest / 2 < reading.suggestion < steepest * 2
    assert "falls best" in reading.note and len(reading.rates) == len(reading.losses)


def test_a_flat_loss_suggests_nothing() -> None:
    flat = (2.3 + 0.02 * np.random.default_rng(1).standard_normal(120)).tolist()
    reading = read(rates(), flat)
    assert reading.suggestion is None and reading.diverges_at is None and "no rate" in reading.note


def test_a_loss_that_is_no_number_ends_the_test() -> None:
    losses = [*_curve(1e-3)[:70], math.nan]
    assert has_blown_up(losses) and not has_blown_up(losses[:-1])
    reading = read(rates()[:71], losses)
    assert reading.diverges_at == rates()[70] and len(reading.losses) == 70
    assert read([1e-6], [math.inf]).suggestion is None


def test_the_blow_up_is_noticed_but_not_a_bad_batch() -> None:
    curve = _curve(1e-4)
    first = next(count for count in range(1, len(curve) + 1) if has_blown_up(curve[:count]))
    assert 1e-3 < rates()[first] < 1
    assert not has_blown_up([2.3] * 30 + [20.0])
