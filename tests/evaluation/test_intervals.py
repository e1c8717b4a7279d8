"""Intervals hold the truth about as often as they say, on tables drawn from models whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evaluation import coverage, coverage_of_rare_mistakes, flawed_model
from core.evaluation.intervals import (
    calibration_interval,
    images_behind_a_mean,
    loss_interval,
    mean_rate_error,
    score_errors,
    score_interval,
)
from core.evaluation.metrics import count_scores, wilson_interval

NUM_TABLES = 300


def test_intervals_cover_the_truth() -> None:
    """Of 300 tables a rate of 95 % gives 92 to 98.5 % nearly always; `benchmarks/evaluation.py` draws 2,000."""
    found = coverage(flawed_model(3), 300, NUM_TABLES, seed=11, truth_images=300_000)
    assert len(found) == 14
    assert all(0.92 <= share <= 0.985 for share in found.values()), found


def test_intervals_cover_the_truth_where_mistakes_are_rare() -> None:
    """The plain bootstrap's hold 92 % of these means: a class without a mistake seen passes for one that makes none."""
    found = coverage_of_rare_mistakes((0.95, 0.98), (1 / 3, 2 / 3), 150, NUM_TABLES, seed=5)
    means = [found[name] for name in ("balanced_accuracy", "macro_recall", "macro_precision")]
    assert min(means) >= 0.94 and max(found.values()) <= 0.99, found


def test_the_error_of_a_mean_of_rates_by_hand() -> None:
    # (9 + 1/4) / (10 + 1/2) and (1/4) / (2 + 1/2); the third class has none.
    first, second = 9.25 / 10.5, 0.1
    by_hand = np.sqrt(first * (1 - first) / 10.5 + second * (1 - second) / 2.5) / 2
    assert mean_rate_error(np.array([9, 0, 0]), np.array([10, 2, 0])) == pytest.approx(by_hand)
    assert mean_rate_error(np.array([0]), np.array([0])) == 0


def test_a_bootstrap_of_images_has_the_same_spread() -> None:
    """The cells are drawn in place of the images; here the images are, one by one."""
    counts = np.array([[40, 3, 1], [5, 20, 2], [0, 4, 25]])
    true, answered = np.repeat(np.indices((3, 3)).reshape(2, -1), counts.ravel(), axis=1)
    lots, drawn = np.random.default_rng(5), []
    for _ in range(3000):
        some = lots.integers(len(true), size=len(true))
        table = np.zeros((3, 3))
        np.add.at(table, (true[some], answered[some]), 1)
        drawn.append(count_scores(table.sum(axis=1), table.sum(axis=0), table.diagonal()))
    errors = score_errors(counts, replicates=3000)
    spreads = {name: float(np.std([float(scores[name]) for scores in drawn])) for name in errors}
    assert errors == pytest.approx(spreads, rel=0.06)


def test_the_interval_of_accuracy_is_wilsons() -> None:
    error = (0.8 * 0.2 / 50) ** 0.5
    assert score_interval(0.8, error, 50) == pytest.approx(wilson_interval(40, 50))


def test_a_flawless_table_keeps_a_width() -> None:
    assert score_errors(np.diag([30, 10]))["macro_f1"] == 0
    assert score_interval(1.0, 0.0, 40) == pytest.approx(wilson_interval(40, 40))
    low, high = score_interval(1.0, 0.0, 40, lowest=-1.0)
    assert high == 1 and low == pytest.approx(2 * wilson_interval(40, 40)[0] - 1)


def test_a_mean_over_classes_is_as_sure_as_its_smallest_classes_allow() -> None:
    assert images_behind_a_mean(np.array([20, 20, 0])) == pytest.approx(40)
    assert images_behind_a_mean(np.array([1000, 2])) == pytest.approx(4 / (1 / 1000 + 1 / 2))


def test_a_signed_score_may_be_below_zero() -> None:
    low, high = score_interval(-0.2, 0.05, 100, lowest=-1.0)
    assert -1 < low < -0.2 < high < 0


def test_a_loss_stays_above_zero_and_a_loss_of_zero_has_no_width() -> None:
    low, high = loss_interval(np.array([0.001, 0.002, 4.0]))
    assert 0 < low < 4.003 / 3 < high
    assert loss_interval(np.zeros(4)) == (0.0, 0.0)


def test_a_calibrated_model_may_be_calibrated() -> None:
    """Its sample has an error of some percent by chance alone; the interval reaches down to nearly nothing."""
    lots = np.random.default_rng(0)
    confidence = lots.uniform(0.5, 1, 400)
    low, high = calibration_interval(confidence, lots.random(400) < confidence, 15)
    assert low < 0.01 < high < 0.1
    low, high = calibration_interval(confidence, lots.random(400) < confidence - 0.2, 15)
    assert 0.1 < low < 0.2 < high < 0.3


def test_many_classes_are_drawn_in_parts_with_the_same_result_shape() -> None:
    lots = np.random.default_rng(1)
    counts = np.zeros((200, 200), int)
    np.add.at(counts, (lots.integers(200, size=8000), lots.integers(200, size=8000)), 1)
    errors = score_errors(counts, replicates=600)
    assert errors["accuracy"] == pytest.approx(np.sqrt(counts.diagonal().sum() / 8000 / 8000), rel=0.1)
