"""Figures of Compare hold what they are given: smoothing by hand, gaps, units, names as data."""

from __future__ import annotations

import pandas as pd
import pytest

from core.charts import MAX_BARS
from core.charts_compare import (
    class_differences_chart,
    curves_chart,
    differences_chart,
    learning_curve_chart,
    seeds_chart,
    smoothed,
)
from core.runs.more_images import forecast


def history(losses: list[float | None]) -> list[dict[str, float | int | None]]:
    return [
        {"epoch": epoch, "val_loss": loss, "val_accuracy": 0.5, "seconds": 30.0}
        for epoch, loss in enumerate(losses, start=1)
    ]


def test_smoothing_by_hand() -> None:
    # weight 1/2: (1/2 * 1) / (1/2) = 1; (1/4 * 1 + 1/2 * 2) / (3/4) = 5/3; (1/8 + 1/2 + 2) / (7/8) = 3
    assert smoothed([1.0, 2.0, 4.0], 0.5) == pytest.approx([1, 5 / 3, 3])
    assert smoothed([1.0, None, 2.0], 0.5) == pytest.approx([1, None, 5 / 3])  # a gap stays one and counts for nothing
    assert smoothed([3.0, float("nan"), 3.0], 0.9) == pytest.approx([3, None, 3])  # what does not move stays
    assert smoothed([1.0, 5.0], 0.0) == [1, 5]


def test_smoothed_curves_keep_what_was_measured_and_say_so() -> None:
    histories = {"A: one": history([1.0, 2.0, 4.0]), "B: <b>two</b>": history([3.0, 2.0])}
    plain = curves_chart(histories, "val_loss")
    assert [list(trace.y) for trace in plain.data] == [[1, 2, 4], [3, 2]]
    assert plain.layout.title.subtitle.text == ""
    assert plain.data[1].name == "B: &lt;b&gt;two&lt;/b&gt;"
    figure = curves_chart(histories, "val_loss", 0.5)
    faint, drawn = figure.data[0], figure.data[1]
    assert list(faint.y) == [1, 2, 4] and faint.opacity < 1 and faint.showlegend is False
    assert list(drawn.y) == pytest.approx([1, 5 / 3, 3])
    assert "faint lines are what was measured" in figure.layout.title.subtitle.text


def test_accuracies_are_percent_and_time_is_minutes_passed() -> None:
    figure = curves_chart({"A": history([1.0, 2.0])}, "val_accuracy", by="minutes")
    assert list(figure.data[0].y) == [50, 50] and list(figure.data[0].x) == [0.5, 1.0]


def test_ten_runs_are_told_apart_by_colour_and_dash() -> None:
    figure = curves_chart({str(number): history([1.0]) for number in range(10)}, "val_loss")
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 10


def test_differences_are_points_with_both_ends_of_their_interval() -> None:
    table = pd.DataFrame({"run": ["B"], "difference": [0.02], "low": [-0.01], "high": [0.06], "num_images": [100]})
    (trace,) = differences_chart(table, "A: $x$").data
    ends = trace.error_x.arrayminus[0], trace.error_x.array[0]
    assert (trace.x[0], *ends) == pytest.approx((2, 3, 4))


def test_of_many_classes_those_that_change_most_are_drawn() -> None:
    table = pd.DataFrame({"label": [f"class {number}" for number in range(100)], "images": 10, "low": -1, "high": 1})
    table["difference"] = [(-1) ** number * number / 100 for number in range(100)]
    figure = class_differences_chart(table, "A", "B")
    assert len(figure.data[0].y) == MAX_BARS
    assert set(figure.data[0].y) == {f"class {number}" for number in range(60, 100)}
    assert f"the {MAX_BARS} of 100 classes that change most" in figure.layout.title.subtitle.text


def test_what_is_extrapolated_is_marked_and_joined_to_what_was_measured() -> None:
    table = pd.DataFrame({"images": [100, 250, 500, 1000], "test_accuracy": [0.8, 0.87, 0.91, 0.93], "num_test": 2000})
    table = table.assign(test_accuracy_low=table["test_accuracy"] - 0.02, test_accuracy_high=0.99)
    found = forecast(table["images"].tolist(), table["test_accuracy"].tolist(), table["num_test"].tolist())
    assert found is not None
    traces = {trace.name: trace for trace in learning_curve_chart(table, found.curve).data}
    ahead = traces["extrapolated"]
    assert ahead.line.dash == "dash" and min(ahead.x) == max(traces["fitted"].x) and max(ahead.x) == pytest.approx(2000)
    assert list(traces["measured, with 95 % intervals"].y) == pytest.approx([80, 87, 91, 93])
    assert len(learning_curve_chart(table, None).data) == 1


def test_seeds_stand_beside_their_mean() -> None:
    table = pd.DataFrame({"seed": [0, 10], "test_accuracy": [0.9, 0.92]})
    table = table.assign(test_accuracy_low=0.85, test_accuracy_high=0.95)
    figure = seeds_chart(table, 0.91, 0.014)
    assert list(figure.data[0].x) == ["0", "10"]  # names, not numbers: there is nothing between two seeds
    assert figure.layout.shapes[0].y0 == pytest.approx(91)
    assert not seeds_chart(table.head(1), None, None).layout.shapes
