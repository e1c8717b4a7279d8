"""Figures of a run's evaluation: its classes, its confusion matrix, its curves and what a threshold costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.charts import (
    MAX_BARS,
    PALETTE,
    SCALE,
    blank_figure,
    count_colours,
    display_names,
    row_height,
    with_class_rows,
)
from core.evaluation.metrics import normalise_rows
from core.wording import count, percent

MAX_CLICKABLE = 70  # classes up to which its cells can be selected: 4,900 points, what a browser bears
MAX_NAME_BOTH_AXES = 18  # characters of a name where names stand on both axes and the cells need the room
_FAINT = "rgba(128,128,128,0.8)"
Cells = Literal["counts", "rows", "columns"]

_CELL_HOVER = (
    "True class: %{{y}}<br>Answered class: %{{x}}<br>Images: %{{customdata[{0}]:,}}"
    "<br>Of the true class: %{{customdata[{1}]:.1f}} %<br>Of the answers: %{{customdata[{2}]:.1f}} %<extra></extra>"
)
_MAP_HOVER = "True class: %{y}<br>Answered class: %{x}<br>Images: %{z:,}<extra></extra>"


def scores_chart(rows: pd.DataFrame) -> go.Figure:
    """Scores from 0 to 1 with their intervals, beside what no skill would score.

    Args:
        rows: title, value, low, high, majority, chance (0..1, the last two may be missing), from top to bottom.
    """
    names = display_names(rows["title"].tolist())
    note = "Lines: 95 % intervals. What no skill at all would score stands beside them."
    figure = blank_figure("How good is it, and how sure is that?", note, "Score (%)", "", row_height(len(names)) + 30)
    figure.update_yaxes(title_text="Measure")
    for column, title, symbol, colour in (
        ("chance", "guessing", "x-thin-open", _FAINT),
        ("majority", "always the commonest class", "line-ns-open", PALETTE[1]),
    ):
        figure.add_scatter(
            x=100 * rows[column],
            y=names,
            name=title,
            mode="markers",
            marker={"symbol": symbol, "size": 12, "color": colour, "line": {"width": 2, "color": colour}},
            hovertemplate="%{x:.1f} %",
        )
    figure.add_scatter(
        x=100 * rows["value"],
        y=names,
        name="this model",
        mode="markers",
        marker={"size": 11, "color": PALETTE[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * (rows["high"] - rows["value"]),
            "arrayminus": 100 * (rows["value"] - rows["low"]),
            "thickness": 2,
        },
        customdata=np.stack([100 * rows["low"], 100 * rows["high"]], axis=-1),
        hovertemplate="%{x:.1f} % (%{customdata[0]:.1f}-%{customdata[1]:.1f})",
    )
    figure.update_layout(hovermode="y unified")
    figure.update_xaxes(range=[-2, 102], showgrid=True)
    return with_class_rows(figure, names)


def per_class_chart(per_class: pd.DataFrame) -> go.Figure:
    """Precision, recall and F1 a class, the hardest class first; F1 with its interval where it has one.

    Args:
        per_class: label, precision, recall, f1 (0..1), support, and maybe f1_low and f1_high. Classes without images
            are left out, beyond `MAX_BARS` only those of the lowest F1 are drawn; the chart says so.
    """
    rows = per_class[per_class["support"] > 0].sort_values("f1", kind="stable")
    notes = []
    if len(rows) > MAX_BARS:
        notes.append(f"The {MAX_BARS} classes of the lowest F1 out of {count(len(rows))}")
        rows = rows.head(MAX_BARS)
    num_empty = int((per_class["support"] == 0).sum())
    if num_empty:
        notes.append(f"{count(num_empty, 'class', 'classes')} without test images left out")
    bars: dict[str, Any] = {}
    if "f1_low" in rows:
        notes.append("Lines: 95 % intervals of F1")
        ends = 100 * (rows["f1_high"] - rows["f1"]), 100 * (rows["f1"] - rows["f1_low"])
        bars = {"type": "data", "symmetric": False, "array": ends[0], "arrayminus": ends[1], "thickness": 1.5}
    names = display_names(rows["label"].tolist())
    height = row_height(len(names)) + 30
    figure = blank_figure("Which classes are hard?", "; ".join(notes), "Score (%)", "Class", height)
    series = (
        ("precision", "precision", "triangle-right"),
        ("recall", "recall", "triangle-left"),
        ("f1", "F1", "circle"),
    )
    for (column, title, symbol), colour in zip(series, PALETTE, strict=False):
        figure.add_scatter(
            x=rows[column] * 100,
            y=names,
            name=title,
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": colour},
            error_x=bars if column == "f1" and bars else None,
            customdata=rows["support"],
            hovertemplate="%{x:.1f} %" + (", test images: %{customdata:,}" if column == "f1" else ""),
        )
    figure.update_layout(hovermode="y unified")
    figure.update_xaxes(range=[-2, 102], showgrid=True)
    return with_class_rows(figure, names)


def confusion_chart(confusion: np.ndarray | Sequence[Sequence[int]], classes: Sequence[str], cells: Cells) -> go.Figure:
    """What is mistaken for what: rows the true class, columns the answer.

    For more classes than the page's grid of buttons has room for. Up to `MAX_CLICKABLE` classes the cells are points
    that `st.plotly_chart(on_select="rerun", selection_mode="points")` reports; a point's customdata is
    [row, column, count, share of the row in %, share of the column in %], the first two being indices into `classes`.
    Beyond that it is a map to zoom into, its colour that of mistakes alone.

    Args:
        confusion: counts, shape (C, C).
        cells: colour by counts, or by shares of the true class (`rows`) or of the answers (`columns`), in %.
    """
    counts = np.asarray(confusion)
    names = display_names(classes, MAX_NAME_BOTH_AXES)
    question = {
        "counts": "How often is which class taken for which?",
        "rows": "What is each class taken for?",
        "columns": "What is behind each answer?",
    }[cells]
    figure = blank_figure(question, "", "Answered class", "True class", max(360, min(900, 220 + 34 * len(names))))
    if len(names) > MAX_CLICKABLE:
        _add_map(figure, counts, names, cells)
    else:
        _add_cells(figure, counts, names, cells)
    last = len(names) - 0.5
    figure.update_xaxes(type="category", categoryarray=names, showgrid=False, range=[-0.5, last])
    figure.update_yaxes(type="category", categoryarray=names, showgrid=False, range=[last, -0.5])
    return figure


def curves_chart(
    curves: Mapping[str, pd.DataFrame], shares: Mapping[str, float], kind: Literal["roc", "pr"]
) -> go.Figure:
    """ROC or precision-recall curves, at most seven classes, each against the rest.

    Args:
        curves: by class, the points of `core.evaluation.roc.Curves`.
        shares: of the images that are of each class: the precision of guessing.
    """
    roc = kind == "roc"
    question = "How many are found before how many false alarms?" if roc else "How precise is it when it finds more?"
    note = "Each class against all others. " + (
        "Dotted: guessing." if roc else "Dotted: the class's share of the images."
    )
    axes = ("False alarms (% of the others)", "Found (recall, %)") if roc else ("Found (recall, %)", "Precision (%)")
    figure = blank_figure(question, note, *axes, 460)
    for name, label, colour in zip(curves, display_names(list(curves)), PALETTE, strict=False):
        points = curves[name]
        x, y = ("false_positive_rate", "recall") if roc else ("recall", "precision")
        figure.add_scatter(
            x=(100 * points[x]).to_numpy(np.float32),
            y=(100 * points[y]).to_numpy(np.float32),
            name=label,
            mode="lines",
            line={"color": colour, "width": 2, "shape": "linear" if roc else "vh"},
            customdata=points["threshold"].clip(upper=1).to_numpy(np.float32),
            hovertemplate="%{fullData.name}<br>from a probability of %{customdata:.3f}:<br>%{x:.1f} %, %{y:.1f} %"
            "<extra></extra>",
        )
        if not roc:
            figure.add_hline(y=100 * shares[name], line={"color": colour, "dash": "dot", "width": 1})
    if roc:
        figure.add_shape(type="line", x0=0, y0=0, x1=100, y1=100, line={"color": _FAINT, "dash": "dot", "width": 1})
    figure.update_layout(hovermode="closest", showlegend=True)
    figure.update_xaxes(range=[-2, 102])
    figure.update_yaxes(range=[-2, 102])
    return figure


def costs_chart(test: pd.DataFrame, val: pd.DataFrame | None, threshold: float) -> go.Figure:
    """What a hundred images cost at each threshold; the chosen one marked.

    Args:
        test, val: `core.evaluation.roc.threshold_costs` of the test and the validation images.
    """
    axes = ("Threshold (probability of the positive class, %)", "Cost of 100 images")
    figure = blank_figure("Which threshold costs least?", "", *axes, 360)
    for name, table, colour, dash in (("validation", val, PALETTE[1], "dash"), ("test", test, PALETTE[0], "solid")):
        if table is not None:
            figure.add_scatter(
                x=100 * table["threshold"],
                y=table["cost"],
                name=name,
                mode="lines",
                line={"color": colour, "dash": dash, "width": 2},
                hovertemplate="%{y:.3g}",
            )
    figure.add_vline(x=100 * threshold, line={"color": PALETTE[3], "width": 2})
    figure.add_annotation(
        x=100 * threshold, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"chosen: {percent(threshold)}"
    )
    figure.update_layout(hovermode="x unified", showlegend=True)
    figure.update_yaxes(rangemode="tozero")
    return figure


def _add_cells(figure: go.Figure, counts: np.ndarray, names: list[str], cells: Cells) -> None:
    """Cells that can be selected, with everything about each on hover."""
    by_row, by_column = 100 * normalise_rows(counts), 100 * normalise_rows(counts.T).T
    if cells == "counts":
        colour, colorbar = count_colours(counts.astype(float), "Test images")
        low, high = float(colour.min()), float(colour.max())
    else:
        colour = by_row if cells == "rows" else by_column
        colorbar, (low, high) = {"title": {"text": _unit(cells), "side": "right"}}, (0.0, 100.0)
    figure.add_heatmap(
        x=names,
        y=names,
        z=colour,
        zmin=low,
        zmax=high,
        colorscale=SCALE,
        colorbar=colorbar,
        xgap=1,
        ygap=1,
        hoverinfo="skip",
    )
    # One invisible point a cell: a heatmap alone cannot be selected from.
    true, answered = (index.ravel() for index in np.indices(counts.shape))
    figure.add_scatter(
        x=[names[a] for a in answered],
        y=[names[t] for t in true],
        mode="markers",
        marker={"size": 6, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        # Plain lists: numpy arrays would come back from a selection as objects, not as lists.
        customdata=[
            [int(t), int(a), int(counts[t, a]), float(by_row[t, a]), float(by_column[t, a])]
            for t, a in zip(true, answered, strict=True)
        ],
        hovertemplate=_CELL_HOVER.format(2, 3, 4),
    )
    # Whichever centre is nearest to the pointer is the cell under it, however large the cell.
    figure.update_layout(hovermode="closest", hoverdistance=-1, dragmode=False, showlegend=False)


def _add_map(figure: go.Figure, counts: np.ndarray, names: list[str], cells: Cells) -> None:
    """All cells in as few bytes as they take: a million of them is a megabyte or four."""
    if cells == "counts":
        values = counts.astype(np.min_scalar_type(int(counts.max())))
        hover = _MAP_HOVER
    else:
        shares = normalise_rows(counts) if cells == "rows" else normalise_rows(counts.T).T
        values = np.round(100 * shares).astype(np.uint8)
        hover = _MAP_HOVER.replace("Images: %{z:,}", f"{_unit(cells).removesuffix(' (%)')}: %{{z}} %")
    wrong = values[~np.eye(len(values), dtype=bool)]
    most = max(1, int(wrong.max()))
    figure.add_heatmap(
        x=names,
        y=names,
        z=values,
        zmin=0,
        # The right answers would drown the mistakes: they stand beyond the end of the scale.
        zmax=most,
        colorscale=SCALE,
        colorbar={"title": {"text": _unit(cells), "side": "right"}} | ({"dtick": 1} if most < 10 else {}),
        hovertemplate=hover,
    )
    figure.update_layout(
        title={"subtitle": {"text": "Drag to zoom, double-click to see all. The scale ends at the commonest mistake."}},
        margin={"t": 90},
        dragmode="zoom",
    )


def _unit(cells: Cells) -> str:
    return {"counts": "Test images", "rows": "Of the true class (%)", "columns": "Of the answers (%)"}[cells]
