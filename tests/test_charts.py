"""What the figures hold and say: data, titles, units, and class names that stay text."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from core import charts, charts_data, charts_evaluation

LINK = '<a href="javascript:alert(1)">x</a>'
NASTY = ["<b>bold</b>", LINK, "line<br>break", "$x^2$", "R&amp;D", "1", "1.0", "\u732b"]


CURVE = pd.DataFrame({"threshold": [math.inf, 0.5], "false_positive_rate": [0.0, 1.0], "recall": [0.0, 1.0]}).assign(
    precision=[1.0, 0.1]
)
COSTS = pd.DataFrame({"threshold": [0.0, 1.0], "cost": [3.0, 7.0]})


def scores(labels: list[str], f1: list[float], support: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "precision": f1, "recall": f1, "f1": f1, "support": support})


def epochs(**columns: list[float | None]) -> list[dict[str, Any]]:
    num_epochs = len(next(iter(columns.values())))
    return [{"epoch": i + 1} | {name: values[i] for name, values in columns.items()} for i in range(num_epochs)]


def all_figures() -> dict[str, go.Figure]:
    curve = epochs(train_loss=[1.0, 0.5], val_loss=[1.1, 0.6], train_accuracy=[0.5, 0.8], val_accuracy=[0.4, 0.7])
    classes = pd.DataFrame({"label": NASTY, "images": range(len(NASTY))})
    kinds = pd.DataFrame({"format": ["JPEG", "PNG"], "mode": ["RGB", "<b>"], "images": [3, 1]})
    bins = pd.DataFrame({"label": [NASTY[1], None], "low": [0, 0], "high": [10, 10], "images": [3, 3]})
    grid = pd.DataFrame({"width_low": [10], "width_high": [20], "height_low": [20], "height_high": [30], "images": [3]})
    square = np.arange(len(NASTY) ** 2).reshape(len(NASTY), -1)
    return {
        "class counts": charts_data.class_bars(classes, logarithmic=False),
        "class counts, logarithmic": charts_data.class_bars(classes, logarithmic=True),
        "kinds": charts_data.kind_bars(kinds),
        "histogram": charts_data.histogram_bars(bins, "How wide are they?", "Width (pixels)", False, shares=False),
        "shares": charts_data.histogram_bars(bins, "How large are they?", "File size", True, shares=True),
        "sizes": charts_data.size_grid_map(grid),
        "loss": charts.training_curves_chart(curve, "loss"),
        "accuracy": charts.training_curves_chart(curve, "accuracy"),
        "per class": charts_evaluation.per_class_chart(scores(NASTY, [0.5] * len(NASTY), [2] * len(NASTY))),
        "confusion": charts_evaluation.confusion_chart(square, NASTY, "counts"),
        "confusion shares": charts_evaluation.confusion_chart(square, NASTY, "rows"),
        "scores": charts_evaluation.scores_chart(
            pd.DataFrame({"title": NASTY, "value": 0.5, "low": 0.4, "high": 0.6, "majority": 0.1, "chance": None})
        ),
        "roc": charts_evaluation.curves_chart({name: CURVE for name in NASTY[:7]}, dict.fromkeys(NASTY, 0.1), "roc"),
        "pr": charts_evaluation.curves_chart({name: CURVE for name in NASTY[:7]}, dict.fromkeys(NASTY, 0.1), "pr"),
        "costs": charts_evaluation.costs_chart(COSTS, COSTS, 0.3),
    }


@pytest.fixture(scope="module", params=list(all_figures()))
def figure(request: pytest.FixtureRequest) -> go.Figure:
    return all_figures()[request.param]


def test_every_figure_asks_a_question_and_names_its_axes(figure: go.Figure) -> None:
    assert figure.layout.title.text.endswith("?")
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text
    assert sum(trace.showlegend is not False and trace.name is not None for trace in figure.data) <= 7


def test_every_figure_follows_the_one_template_on_any_background(figure: go.Figure) -> None:
    assert figure.layout.template == plotly.io.templates["darkroom"]
    # Streamlit's theme overwrites these in the template, so the figure itself must carry them.
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.xaxis.gridcolor == figure.layout.yaxis.gridcolor == "rgba(128,128,128,0.25)"
    assert figure.layout.font.color is None and figure.layout.template.layout.font.color is None
    assert figure.layout.template.layout.title.x == 0 and figure.layout.template.layout.title.xanchor == "left"


def test_no_figure_carries_markup_or_mathematics_from_a_class_name(figure: go.Figure) -> None:
    text = json.dumps(json.loads(figure.to_json())["data"], ensure_ascii=False)
    for markup in ("<b>", "<a ", "line<br>break", "$"):
        assert markup not in text


def test_importing_charts_leaves_plotlys_own_default_alone() -> None:
    assert plotly.io.templates.default != "darkroom"


def test_display_names_are_literal() -> None:
    assert charts.display_names(NASTY) == [
        "&lt;b&gt;bold&lt;/b&gt;",
        '&lt;a href="javasc\N{HORIZONTAL ELLIPSIS}alert(1)"&gt;x&lt;/a&gt;',  # plotly would show &quot; as written
        "line&lt;br&gt;break",
        "&#36;x^2&#36;",
        "R&amp;amp;D",
        "1",
        "1.0",
        "\u732b",
    ]


def test_display_names_stay_distinct() -> None:
    long_a, long_b = "x" * 40 + "a" + "y" * 40, "x" * 40 + "b" + "y" * 40
    names = [long_a, long_b, "a  b", "a b", "a b (1)", "", " "]
    shown = charts.display_names(names)
    assert len(set(shown)) == len(names)
    assert shown[0].startswith("xxx") and "\N{HORIZONTAL ELLIPSIS}" in shown[0] and len(shown[0]) <= 36
    assert shown[5:] == ["(no name) (1)", "(no name) (2)"]


def test_training_curves_mark_the_best_validation_epoch() -> None:
    rows = epochs(
        train_loss=[1.0, 0.5, 0.1], val_loss=[0.9, 0.4, 0.6], train_accuracy=[0.5, 0.7, 1], val_accuracy=[0.5, 0.8, 0.9]
    )
    train, val, best = charts.training_curves_chart(rows, "loss").data
    assert (train.name, list(train.x), list(train.y)) == ("training", [1, 2, 3], [1.0, 0.5, 0.1])
    assert (val.name, list(val.y)) == ("validation", [0.9, 0.4, 0.6])
    assert (list(best.x), list(best.y), best.name) == ([2], [0.4], "best: epoch 2, 0.4")
    figure = charts.training_curves_chart(rows, "accuracy")
    assert list(figure.data[1].y) == pytest.approx([50, 80, 90])
    assert (list(figure.data[2].x), figure.data[2].name) == ([3], "best: epoch 3, 90.0 %")
    assert figure.layout.yaxis.title.text == "Accuracy (%)" and figure.layout.hovermode == "x unified"


def test_training_curves_differ_by_more_than_colour() -> None:
    train, val, _ = charts.training_curves_chart(epochs(train_loss=[1.0] * 3, val_loss=[1.0] * 3), "loss").data
    assert train.line.dash != val.line.dash


@pytest.mark.parametrize("broken", [None, math.nan, math.inf])
def test_training_curves_leave_a_gap_where_there_is_no_number(broken: float | None) -> None:
    rows = epochs(train_loss=[1.0, broken, 0.5], val_loss=[broken, broken, 0.5])
    train, val, best = charts.training_curves_chart(rows, "loss").data
    assert list(train.y) == [1.0, None, 0.5] and list(val.y) == [None, None, 0.5]
    assert list(best.x) == [3]
    json.loads(charts.training_curves_chart(rows, "loss").to_json(), parse_constant=pytest.fail)


def test_training_curves_without_an_epoch_are_empty_lines() -> None:
    assert [len(trace.x) for trace in charts.training_curves_chart([], "loss").data] == [0, 0]


def test_per_class_scores_are_in_percent_hardest_first_and_measured_only() -> None:
    figure = charts_evaluation.per_class_chart(scores(["easy", "none", "hard"], [0.9, 0.0, 0.2], [5, 0, 4]))
    assert [trace.name for trace in figure.data] == ["precision", "recall", "F1"]
    assert list(figure.data[2].y) == ["hard", "easy"] and list(figure.data[2].x) == [20, 90]
    assert figure.layout.title.subtitle.text == "1 class without test images left out"
    assert len({trace.marker.symbol for trace in figure.data}) == 3


def test_per_class_is_cut_to_the_hardest_and_says_so() -> None:
    table = scores([f"c{i}" for i in range(60)], [i / 60 for i in range(60)], [1] * 60)
    figure = charts_evaluation.per_class_chart(table)
    assert list(figure.data[0].y) == [f"c{i}" for i in range(40)]
    assert figure.layout.title.subtitle.text == "The 40 classes of the lowest F1 out of 60"


def cell_points(figure: go.Figure) -> go.Scatter:
    (points,) = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers"]
    return points


def test_confusion_counts_by_true_and_answered_class() -> None:
    figure = charts_evaluation.confusion_chart([[3, 1], [0, 4]], ["cat", "dog"], "counts")
    assert np.asarray(figure.data[0].z).tolist() == [[3, 1], [0, 4]]
    assert figure.layout.yaxis.range == (1.5, -0.5)  # the first class on top, no margin round the cells
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Answered class", "True class")


def test_confusion_shares_are_of_the_true_class() -> None:
    figure = charts_evaluation.confusion_chart([[3, 1], [0, 0]], ["cat", "dog"], "rows")
    assert np.asarray(figure.data[0].z).tolist() == [[75, 25], [0, 0]]
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 100)


def test_a_confusion_cell_names_itself_by_index() -> None:
    points = cell_points(charts_evaluation.confusion_chart([[3, 1], [0, 4]], ["<b>", "$"], "counts"))
    assert [list(point) for point in points.customdata] == [
        [0, 0, 3, 75.0, 100.0],
        [0, 1, 1, 25.0, 20.0],
        [1, 0, 0, 0.0, 0.0],
        [1, 1, 4, 100.0, 80.0],
    ]
    assert list(points.y) == ["&lt;b&gt;", "&lt;b&gt;", "&#36;", "&#36;"]


@pytest.mark.parametrize(("num_classes", "points"), [(31, True), (70, True), (71, False)])
def test_large_confusions_lose_their_points(num_classes: int, points: bool) -> None:
    figure = charts_evaluation.confusion_chart(
        np.eye(num_classes, dtype=int), [f"c{i}" for i in range(num_classes)], "counts"
    )
    assert any(trace.type == "scatter" and trace.mode == "markers" for trace in figure.data) == points
    assert (figure.data[0].hoverinfo == "skip") == points


def test_a_confusion_of_a_thousand_classes_is_small_and_shows_its_mistakes() -> None:
    counts = np.diag(np.full(1000, 50))
    counts[3, 7] = 9
    figure = charts_evaluation.confusion_chart(counts, [f"c{i}" for i in range(1000)], "counts")
    assert len(figure.to_json()) < 2_000_000
    assert np.asarray(figure.data[0].z)[3, 7] == figure.data[0].zmax == 9
    shares = charts_evaluation.confusion_chart(counts, [f"c{i}" for i in range(1000)], "columns")
    assert np.asarray(shares.data[0].z)[3, 7] == round(100 * 9 / 59)


def test_a_confusion_of_no_images_still_draws() -> None:
    figure = charts_evaluation.confusion_chart(np.zeros((2, 2), int), ["cat", "dog"], "counts")
    assert np.asarray(figure.data[0].z).tolist() == [[0, 0], [0, 0]]
