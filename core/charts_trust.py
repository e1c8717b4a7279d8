"""Figures on how far a model's confidence can be trusted, from the rows of `core.evaluation`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.charts import PALETTE, blank_figure
from core.wording import percent

Row = dict[str, Any]
_EVEN = "rgba(128,128,128,0.8)"
_SMALLEST, _LARGEST = 6, 22  # pixels across, of the markers of the bins with fewest and most images


def reliability_chart(before: Sequence[Row], after: Sequence[Row] | None) -> go.Figure:
    """How often answers of each confidence are right; a model that is as sure as it is right lies on the diagonal.

    The larger a point, the more images; its line is the 95 % interval, which of a few images is most of the way.

    Args:
        before: rows of `core.evaluation.calibration.reliability` without a temperature.
        after: the same with it; None where there is none.
    """
    subtitle = "On the line: as sure as right. Below it: too sure."
    figure = blank_figure("Is it right as often as it says?", subtitle, "Confidence (%)", "Right (%)", 420)
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="as sure as right",
        line={"color": _EVEN, "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    series = [("as trained", before, PALETTE[1], "diamond")]
    if after is not None:
        series.append(("with the temperature", after, PALETTE[0], "circle"))
    for name, rows, colour, symbol in series:
        most = max((row["images"] for row in rows), default=1)
        figure.add_scatter(
            x=[100 * row["confidence"] for row in rows],
            y=[100 * row["accuracy"] for row in rows],
            mode="markers",
            name=name,
            marker={
                "color": colour,
                "symbol": symbol,
                "size": [_SMALLEST + (_LARGEST - _SMALLEST) * (row["images"] / most) ** 0.5 for row in rows],
            },
            error_y={
                "array": [100 * (row["accuracy_high"] - row["accuracy"]) for row in rows],
                "arrayminus": [100 * (row["accuracy"] - row["accuracy_low"]) for row in rows],
                "thickness": 1,
                "width": 0,
            },
            customdata=[[row["images"], 100 * row["accuracy_low"], 100 * row["accuracy_high"]] for row in rows],
            hovertemplate=f"{name}<br>says %{{x:.1f}} %, right %{{y:.1f}} % (%{{customdata[1]:.1f}}-"
            "%{customdata[2]:.1f})<br>%{customdata[0]:,} test images<extra></extra>",
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(range=[-2, 102])
    figure.update_yaxes(range=[-4, 104])
    return figure


def coverage_chart(curve: Sequence[Row], target: float | None, chosen: Row | None) -> go.Figure:
    """The error among the answers given, against how many images get one.

    Args:
        curve: rows of `core.evaluation.abstention.coverage_curve`.
        target: the error asked for, 0..1, drawn as a line; None for none.
        chosen: coverage and error (0..1, None without answers) at the threshold in question; None for none.
    """
    question = "What does staying silent save?"
    figure = blank_figure(question, "", "Test images answered (%)", "Wrong among the answers (%)", 360)
    figure.add_scatter(
        x=[100 * row["coverage"] for row in curve],
        y=[100 * row["error"] for row in curve],
        mode="lines" if len(curve) > 1 else "markers",
        name="error among the answers",
        line={"color": PALETTE[0], "width": 2},
        customdata=[100 * row["threshold"] for row in curve],
        hovertemplate="%{x:.1f} % answered, %{y:.2f} % of those wrong<br>threshold %{customdata:.1f} %<extra></extra>",
    )
    if target is not None:
        figure.add_scatter(
            x=[0, 100],
            y=[100 * target] * 2,
            mode="lines",
            name=f"target: {percent(target)}",
            line={"color": _EVEN, "dash": "dot", "width": 1},
            hoverinfo="skip",
        )
    if chosen is not None and chosen["error"] is not None:
        figure.add_scatter(
            x=[100 * chosen["coverage"]],
            y=[100 * chosen["error"]],
            mode="markers",
            name="this threshold",
            marker={"symbol": "star", "size": 14, "color": PALETTE[3]},
            hovertemplate="%{x:.1f} % answered, %{y:.2f} % of those wrong<extra></extra>",
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(rangemode="tozero")
    return figure
