"""Figures on trust hold what their tables hold."""

from __future__ import annotations

import numpy as np
import pytest

from core.charts_trust import coverage_chart, reliability_chart
from core.evaluation.abstention import coverage_curve, with_threshold
from core.evaluation.calibration import reliability


def test_the_reliability_diagram_shows_each_bin_with_its_interval() -> None:
    rows = reliability(np.array([0.95, 0.95, 0.55]), np.array([True, False, True]), 10)
    figure = reliability_chart(rows, None)
    assert [trace.name for trace in figure.data] == ["as sure as right", "as trained"]
    points = figure.data[1]
    assert list(points.x) == pytest.approx([55, 95]) and list(points.y) == [100, 50]
    assert points.error_y.array[1] == pytest.approx(points.error_y.arrayminus[1])  # of one in two it is even
    assert points.error_y.arrayminus[0] == pytest.approx(100 / (1 + 1 / 1.959964**2))  # Wilson's of one in one
    assert points.marker.size[1] > points.marker.size[0]
    assert len(reliability_chart(rows, rows).data) == 3


def test_the_coverage_curve_marks_target_and_threshold() -> None:
    confidence, right = np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, True])
    figure = coverage_chart(coverage_curve(confidence, right), 0.05, with_threshold(confidence, right, 0.8))
    curve, target, chosen = figure.data
    assert list(curve.x) == [25, 75, 100] and list(curve.y) == pytest.approx([0, 100 / 3, 25])
    assert list(target.y) == [5, 5] and (chosen.x[0], chosen.y[0]) == (75, pytest.approx(100 / 3))
    nothing = coverage_chart(coverage_curve(confidence, right), None, with_threshold(confidence, right, 1.0))
    assert len(nothing.data) == 1
