"""Figures on where a model breaks: on which parts of its test images, and on images that something went wrong with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.charts import PALETTE, blank_figure, display_names, row_height, with_class_rows
from core.wording import count, percent_interval

Row = dict[str, Any]
MOST_PARTS = 25
_ALL = "rgba(128,128,128,0.8)"
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


def slices_chart(rows: Sequence[Row], accuracy: float) -> go.Figure:
    """Accuracy of parts of the test images with intervals, the worst on top; a point's customdata is [its place].

    Args:
        rows: of `core.evaluation.slices.compare`, in their order; the first `MOST_PARTS` are drawn.
        accuracy: of all test images, 0..1, drawn as a line.
    """
    shown = list(rows[:MOST_PARTS])
    names = display_names([f"{row['by']}: {row['value']}" for row in shown])
    note = f"The first {MOST_PARTS} of {count(len(rows), 'part')}. " if len(rows) > MOST_PARTS else ""
    subtitle = f"{note}The dashed line is the accuracy of all."
    height = row_height(len(names)) + 30
    figure = blank_figure("On which images is it worse?", subtitle, "Accuracy (%), 95 % interval", "", height)
    for conspicuous, name, symbol, colour in (
        (True, "worse beyond chance", "diamond", PALETTE[1]),
        (False, "may be chance", "circle", PALETTE[0]),
    ):
        places = [place for place, row in enumerate(shown) if row["conspicuous"] == conspicuous]
        figure.add_scatter(
            x=[100 * shown[place]["accuracy"] for place in places],
            y=[names[place] for place in places],
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (shown[place]["high"] - shown[place]["accuracy"]) for place in places],
                "arrayminus": [100 * (shown[place]["accuracy"] - shown[place]["low"]) for place in places],
                "thickness": 1.5,
                "width": 0,
            },
            customdata=[[place, _words(shown[place])] for place in places],
            hovertemplate="%{y}<br>%{customdata[1]}<extra></extra>",
        )
    figure.add_vline(x=100 * accuracy, line={"color": _ALL, "dash": "dash", "width": 1.5})
    figure.update_layout(dragmode=False, hovermode="closest", showlegend=True)
    figure.update_xaxes(showgrid=True)
    return with_class_rows(figure, names)


def robustness_chart(rows: Sequence[Row]) -> go.Figure:
    """Accuracy by severity, one line a corruption.

    Args:
        rows: of `core.evaluation.robustness.measure`; severity 0 is where all lines begin.
    """
    figure = blank_figure("How much can go wrong with an image?", "", "Severity", "Accuracy (%)", 420)
    clean = [row for row in rows if row["severity"] == 0]
    titles = list(dict.fromkeys(row["title"] for row in rows if row["severity"]))
    for number, title in enumerate(titles):
        line = [*clean, *(row for row in rows if row["title"] == title and row["severity"])]
        figure.add_scatter(
            x=[row["severity"] for row in line],
            y=[100 * row["accuracy"] for row in line],
            name=title,
            mode="lines+markers",
            line={"color": PALETTE[number % len(PALETTE)], "width": 2},
            marker={"symbol": _SYMBOLS[number % len(_SYMBOLS)], "size": 8},
            customdata=[
                percent_interval(row["accuracy"], row["low"], row["high"])
                + (f", {row['amount']}" if row["amount"] else "")
                for row in line
            ],
            hovertemplate="%{customdata}",
        )
    figure.update_layout(hovermode="x unified", margin={"b": 90})
    figure.update_xaxes(tickmode="array", tickvals=list(range(6)), ticktext=["as it is", "1", "2", "3", "4", "5"])
    figure.update_yaxes(rangemode="tozero")
    return figure


def _words(row: Row) -> str:
    """One part, for who points at it."""
    return (
        f"{percent_interval(row['accuracy'], row['low'], row['high'])} of {count(row['images'], 'test image')}"
        f"<br>all others {100 * row['rest']:.1f} %; by its classes alone one would expect {100 * row['expected']:.1f} %"
    )
