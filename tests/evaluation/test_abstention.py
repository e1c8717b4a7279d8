"""Thresholds that keep their promise, over tables whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, binom

from core.errors import DarkroomError
from core.evaluation import abstention, calibration
from core.evaluation.abstention import (
    STARTS,
    area_under_curve,
    choose_threshold,
    coverage_curve,
    least_images,
    read_answers,
    smallest_target,
    upper_bound,
    with_threshold,
)
from tests.evaluation.trusting import answered_run


def test_the_bound_is_where_so_few_mistakes_become_a_rare_chance() -> None:
    for wrong, answered in ((0, 299), (1, 40), (7, 300), (39, 40)):
        bound = float(upper_bound(wrong, answered, 0.05))
        assert binom.cdf(wrong, answered, bound) == pytest.approx(0.05)
        assert bound == pytest.approx(beta.ppf(0.95, wrong + 1, answered - wrong))
    assert float(upper_bound(0, 299, 0.05)) == pytest.approx(1 - 0.05 ** (1 / 299))
    assert upper_bound(np.array([0, 5]), np.array([0, 5]), 0.05).tolist() == [1, 1]


def test_how_many_answers_without_a_mistake_it_takes() -> None:
    assert least_images(0.01, 0.05) == 299 and least_images(0.05, 0.05) == 59
    assert upper_bound(0, 299, 0.05) <= 0.01 < upper_bound(0, 298, 0.05)


def test_a_threshold_by_hand() -> None:
    """400 sure answers, all right, and 100 less sure, half of them right."""
    confidence = np.array([0.9] * 400 + [0.6] * 100)
    right = np.array([True] * 400 + [True, False] * 50)
    chosen = choose_threshold(confidence, right, 0.05)
    assert (chosen.threshold, chosen.answered, chosen.wrong, chosen.images) == (0.9, 400, 0, 500)
    assert chosen.bound == pytest.approx(1 - 0.01 ** (1 / 400))  # five walks share a doubt of 5 %
    assert choose_threshold(confidence, right, 0.15).answered == 500
    none = choose_threshold(confidence, right, 0.01)
    assert none.threshold is None and none.bound is None and none.least == 459
    assert smallest_target(confidence, right) == pytest.approx(0.012)  # 1.15 %, in steps of a tenth of a percent
    assert choose_threshold(confidence, right, 0.012).answered == 400


def test_one_sure_mistake_ends_one_walk_and_not_all() -> None:
    confidence, right = np.linspace(1, 0.5, 1000), np.ones(1000, bool)
    right[20] = False  # within the first tenth: 1 of 100 shows no 5 %
    assert upper_bound(1, 100, 0.05 / len(STARTS)) > 0.05
    assert choose_threshold(confidence, right, 0.05).answered == 1000


def test_the_promise_holds_and_a_plain_choice_does_not() -> None:
    """Half sure answers are half wrong, sure ones right; the error above a threshold is known exactly."""
    draws, target, promise = np.random.default_rng(6), 0.05, 0.9
    broken = plain_broken = found = 0

    def error_above(threshold: float) -> float:
        return 2 / 3 * (1 - threshold) ** 2  # the mean of 2 (1 - c)^2, which is P(wrong | c), over c above it

    for _ in range(600):
        confidence = draws.uniform(0.5, 1, 600)
        right = draws.random(600) >= 2 * (1 - confidence) ** 2
        chosen = choose_threshold(confidence, right, target, promise)
        found += chosen.threshold is not None
        broken += chosen.threshold is not None and error_above(chosen.threshold) > target
        curve = [row for row in coverage_curve(confidence, right) if row["error"] <= target]
        plain_broken += bool(curve) and error_above(curve[-1]["threshold"]) > target
    assert found > 400, "a promise that is never given is kept too easily"
    assert broken <= 60  # one in ten
    assert plain_broken > 180


def test_what_a_threshold_does() -> None:
    confidence, right = np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, True])
    assert with_threshold(confidence, right, 0.8) == {
        "images": 4, "answered": 3, "wrong": 1, "coverage": 0.75, "error": pytest.approx(1 / 3),
        "error_low": pytest.approx(beta.ppf(0.025, 1, 3)), "error_high": pytest.approx(beta.ppf(0.975, 2, 2)),
    }  # fmt: skip
    assert with_threshold(confidence, right, None)["answered"] == 4
    nothing = with_threshold(confidence, right, 0.95)
    assert nothing["error"] is None and nothing["coverage"] == 0
    assert with_threshold(np.zeros(0), np.zeros(0, bool), 0.5)["coverage"] is None


def test_the_curve_by_hand_with_equal_confidences_together() -> None:
    confidence, right = np.array([0.4, 0.8, 0.9, 0.8]), np.array([False, True, True, False])
    assert coverage_curve(confidence, right) == [
        {"threshold": 0.9, "coverage": 0.25, "error": 0.0},
        {"threshold": 0.8, "coverage": 0.75, "error": pytest.approx(1 / 3)},
        {"threshold": 0.4, "coverage": 1.0, "error": 0.5},
    ]
    area = area_under_curve(np.array([0.9, 0.8, 0.4]), np.array([True, False, True]))
    assert area == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert coverage_curve(np.zeros(0), np.zeros(0, bool)) == [] and area_under_curve(np.zeros(0), np.zeros(0)) is None
    draws = np.random.default_rng(0)
    assert len(coverage_curve(draws.random(5000), draws.random(5000) > 0.1)) == abstention.MOST_POINTS


def test_the_section_promises_by_validation_and_proves_by_test(tmp_path: Path) -> None:
    draws = np.random.default_rng(1)
    targets = draws.integers(0, 3, 1600)
    logits = draws.normal(scale=2, size=(1600, 3))
    logits[np.arange(1600), targets] += 8
    logits[::40] = logits[::40, ::-1] * 0.1  # a few it does not know, and knows that
    evaluated = answered_run(tmp_path, ["val", "test"] * 800, targets, logits)
    evaluated.report["calibration"] = calibration.section(evaluated)
    found = abstention.section(evaluated)
    row = next(row for row in found["targets"] if row["target"] == 0.01)
    assert row["threshold"] and row["answered"] > 700
    assert row["test"]["error_low"] <= 0.01 and row["test"]["coverage"] > 0.9
    assert found["smallest_target"] <= 0.01
    assert [row["target"] for row in found["targets"] if row["threshold"] is None] == [0.005]  # takes 919 answers
    with pytest.raises(DarkroomError, match="No predictions"):
        read_answers(tmp_path, 1.0)
