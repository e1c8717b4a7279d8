"""Curves and costs by hand, by counting pairs, and against scikit-learn, which they are not made with."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from core.evaluation.roc import cheapest, one_vs_rest, threshold_costs


def test_curves_by_hand() -> None:
    curves = one_vs_rest(np.array([0.9, 0.8, 0.7, 0.7, 0.1]), np.array([True, False, True, False, False]))
    assert curves is not None
    assert curves.points["threshold"].tolist() == [np.inf, 0.9, 0.8, 0.7, 0.1]
    assert curves.points["recall"].tolist() == [0, 0.5, 0.5, 1, 1]
    assert curves.points["false_positive_rate"].tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3, 1])
    assert curves.points["precision"].tolist() == [1, 1, 0.5, 0.5, 0.4]
    # Pairs of a positive with one of the three others: 0.9 wins 3; 0.7 loses to 0.8, ties 0.7, beats 0.1.
    assert curves.auc == pytest.approx((3 + 1.5) / 6)
    assert curves.average_precision == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert curves.share == 0.4 and 0 < curves.auc_low < curves.auc < curves.auc_high < 1


@pytest.mark.parametrize("seed", range(8))
def test_areas_are_those_of_scikit_learn_ties_included(seed: int) -> None:
    lots = np.random.default_rng(seed)
    positive = lots.random(300) < 0.2
    scores = (lots.normal(size=300) + positive).round(1 if seed % 2 else 6)
    curves = one_vs_rest(scores, positive)
    assert curves is not None
    assert curves.auc == pytest.approx(sk.roc_auc_score(positive, scores))
    assert curves.average_precision == pytest.approx(sk.average_precision_score(positive, scores))


def test_the_areas_interval_covers_the_truth() -> None:
    """Normal scores a unit apart: the truth is Phi(1 / sqrt 2) = 0.76025."""
    lots, held = np.random.default_rng(2), 0
    for _ in range(400):
        positive = np.arange(120) < 40
        curves = one_vs_rest(lots.normal(size=120) + positive, positive)
        assert curves is not None
        held += curves.auc_low <= 0.76025 <= curves.auc_high
    assert 0.92 <= held / 400 <= 0.98


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    lots = np.random.default_rng(0)
    curves = one_vs_rest(lots.random(5000), lots.random(5000) < 0.5)
    assert curves is not None and len(curves.points) == 400
    assert curves.points.iloc[-1][["recall", "false_positive_rate"]].tolist() == [1, 1]


def test_one_class_alone_has_no_curve() -> None:
    assert one_vs_rest(np.array([0.1, 0.2]), np.array([True, True])) is None


def test_costs_by_hand() -> None:
    scores, positive = np.array([0.9, 0.4, 0.6, 0.2]), np.array([True, True, False, False])
    costs = threshold_costs(scores, positive, np.array([0.1, 0.4, 0.5, 0.9, 1.0]), cost_missed=10, cost_alarm=1)
    assert costs["missed"].tolist() == [0, 0, 1, 1, 2]
    assert costs["alarms"].tolist() == [2, 1, 1, 0, 0]
    assert costs["hits"].tolist() == [2, 2, 1, 1, 0] and costs["refused"].tolist() == [0, 1, 1, 2, 2]
    assert costs["cost"].tolist() == [50, 25, 275, 250, 500]
    assert cheapest(costs)["threshold"] == 0.4


def test_the_middle_of_the_cheapest_stretch_is_advised() -> None:
    costs = threshold_costs(np.array([0.8, 0.2]), np.array([True, False]), np.linspace(0, 1, 11), 1, 1)
    assert cheapest(costs)["threshold"] == pytest.approx(0.6)  # 0.3 to 0.8 all cost nothing
