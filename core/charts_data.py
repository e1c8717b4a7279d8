"""Figures about datasets, from the plain tables of `core.data`; look and palette are those of `core.charts`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.charts import PALETTE, SCALE, blank_figure, count_colours, display_names, row_height, with_class_rows
from core.wording import count, significant

MAX_SERIES = 7  # classes drawn apart; with more, the largest and all others together
OTHERS_COLOUR = "#8A8F96"
OTHERS_NAME = "all others"
NOT_GIVEN = "not given"
MAX_DRAWN_SINGLY = 2_000  # points up to which a map is drawn without WebGL


def class_bars(counts: pd.DataFrame, logarithmic: bool, note: str = "") -> go.Figure:
    """How many images each class has, in the order of the rows; a bar's customdata is [its place in the table].

    Args:
        counts: label, images.
        note: below the title, such as which part of the classes this is.
    """
    names = display_names(counts["label"].tolist())
    figure = blank_figure("How many images does each class have?", note, "Images", "Class", row_height(len(names)))
    _add_rows_of_images(figure, counts["images"], names)
    if logarithmic:
        top = math.log10(max(int(counts["images"].max() or 1), 1)) if len(counts) else 0
        figure.update_xaxes(type="log", range=[-0.3, 1.3 * top + 0.3], dtick=1, tickformat=",d")
        figure.update_xaxes(title_text="Images (log scale)")
    else:
        figure.update_xaxes(range=_room_for_figures(counts["images"].to_numpy()))
    figure.update_xaxes(showgrid=True)
    figure.update_layout(dragmode=False)
    return with_class_rows(figure, names)


def histogram_bars(table: pd.DataFrame, question: str, x_title: str, is_bytes: bool, shares: bool) -> go.Figure:
    """How many images have which value, by class; a bar's customdata is [low, high or None, its bin in words].

    Args:
        table: label (missing for all other classes together), low, high (infinite: this and more), images; every bin
            once for each class, as `core.data.summary.histogram` gives it.
        is_bytes: whether values are sizes of files.
        shares: bars beside each other as shares of their class, to compare shapes; else stacked counts.
    """
    figure = blank_figure(question, "", x_title, "Share of the class (%)" if shares else "Images", 340)
    if table.empty:
        return figure
    labels = list(table["label"].drop_duplicates())
    several = len(labels) > 1
    names = display_names([OTHERS_NAME if pd.isna(label) else label for label in labels]) if several else ["images"]
    low, high, images = (
        table[name].to_numpy().reshape(len(labels), -1) for name in ("low", "high", "images")
    )  # class, bin
    edges = [*low[0].tolist(), high[0][-1]]
    width = edges[1] - edges[0] if math.isfinite(edges[1]) else 1.0
    heights = 100 * images / np.maximum(1, images.sum(axis=1, keepdims=True)) if shares else images
    bins = _bins(low[0], high[0], is_bytes)
    figure.add_traces(
        [
            {
                "type": "bar",
                "x": low[0] + width / 2,
                "y": heights[number],
                "width": width,
                "name": names[number],
                "customdata": bins,
                "hovertemplate": "%{customdata[2]}: " + ("%{y:.1f} %" if shares else "%{y:,}"),
                "marker": {
                    "color": OTHERS_COLOUR if several and pd.isna(label) else PALETTE[number % len(PALETTE)],
                    "line": {"width": 0},
                },
                "opacity": 0.65 if shares else 1,
            }
            for number, label in enumerate(labels)
        ]
    )
    layout = {"barmode": "overlay" if shares else "stack", "bargap": 0, "showlegend": several}
    layout |= {"dragmode": "select", "selectdirection": "h"}
    if several:
        layout |= {"margin": {"b": 90}, "legend": {"traceorder": "normal"}}
    if is_bytes:
        layout["xaxis"] = {"tickformat": "~s", "ticksuffix": "B"}
    return figure.update_layout(layout)


def kind_bars(kinds: pd.DataFrame) -> go.Figure:
    """How many images have which format and colour mode; a bar's customdata is [its place in the table].

    Args:
        kinds: format, mode, images.
    """
    names = display_names([f"{row.format}, {row.mode}" for row in kinds.itertuples()])
    figure = blank_figure(
        "Which formats and colour modes are there?", "", "Images", "Format, mode", row_height(len(names))
    )
    images = kinds["images"].to_numpy()
    _add_rows_of_images(figure, images, names)
    figure.update_xaxes(range=_room_for_figures(images), showgrid=True)
    figure.update_layout(dragmode=False)
    return with_class_rows(figure, names)


def size_grid_map(grid: pd.DataFrame) -> go.Figure:
    """How many images have which width and height together; a cell's customdata is [its place in the table, in words].

    Cells are bars that float: those of a heatmap cannot be clicked.

    Args:
        grid: width_low, width_high, height_low, height_high (pixels, low <= side < high), images; empty cells may
            be left out.
    """
    figure = blank_figure("Which sizes do the images have?", "", "Width (pixels)", "Height (pixels)", 420)
    if grid.empty:
        return figure
    sides = {name: grid[name].to_numpy(float) for name in grid if name != "images"}
    wide = _pixel_ranges(sides["width_low"], sides["width_high"])
    tall = _pixel_ranges(sides["height_low"], sides["height_high"])
    words = [
        f"{a} wide, {b} tall: {count(int(n), 'image')}" for a, b, n in zip(wide, tall, grid["images"], strict=True)
    ]
    colour, colorbar = count_colours(grid["images"].to_numpy(float), "Images")
    figure.add_bar(
        x=(sides["width_low"] + sides["width_high"]) / 2,
        width=sides["width_high"] - sides["width_low"],
        base=sides["height_low"],
        y=sides["height_high"] - sides["height_low"],
        customdata=[[place, text] for place, text in enumerate(words)],
        hovertemplate="%{customdata[1]}<extra></extra>",
        marker={"color": colour, "colorscale": SCALE, "colorbar": colorbar, "line": {"width": 0}, "showscale": True},
    )
    figure.update_xaxes(range=[sides["width_low"].min(), sides["width_high"].max()])
    figure.update_yaxes(range=[sides["height_low"].min(), sides["height_high"].max()])
    return figure.update_layout(barmode="overlay", bargap=0, hovermode="closest", dragmode=False, showlegend=False)


def _room_for_figures(images: np.ndarray) -> list[float]:
    """A range with room for the figure beside the longest bar, on a narrow screen too."""
    return [0, 1.25 * max(1, int(images.max(initial=0)))]


def _bins(low: np.ndarray, high: np.ndarray, is_bytes: bool) -> list[list[Any]]:
    """Plain lists: numpy arrays would come back from a selection as objects, not as lists."""
    said = _bytes if is_bytes else significant
    bins = []
    for first, last in zip(low.tolist(), high.tolist(), strict=True):
        closed = math.isfinite(last)
        words = f"{said(first)} to under {said(last)}" if closed else f"{said(first)} and more"
        bins.append([first, last if closed else None, words])
    return bins


def _bytes(number: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number:.0f} B"


def _pixel_ranges(low: np.ndarray, high: np.ndarray) -> list[str]:
    last = np.ceil(high) - 1  # the largest whole number of pixels below the border
    first = np.ceil(low)
    return [
        f"{count(int(a))} px" if b <= a else f"{count(int(a))}-{count(int(b))} px"
        for a, b in zip(first, last, strict=True)
    ]


def score_bars(table: pd.DataFrame, check: str, threshold: float) -> go.Figure:
    """How many images have which score of a check, those below the threshold in the colour of a warning.

    Args:
        table: low, high (0..1), images.
        check: what the check is called.
    """
    title = f"{check}: how are the images scored?"
    figure = blank_figure(title, "0 is the worst, 1 is fine", "Score", "Images (log scale)", 260)
    low, high = table["low"].to_numpy(float), table["high"].to_numpy(float)
    below = (low + high) / 2 < threshold
    figure.add_bar(
        x=(low + high) / 2,
        y=table["images"],
        width=high - low,
        marker_color=np.where(below, PALETTE[1], PALETTE[0]),
        marker_line_width=0,
        customdata=np.stack([low, high], axis=1),
        hovertemplate="Score %{customdata[0]:.2f} to %{customdata[1]:.2f}<br>Images: %{y:,}<extra></extra>",
    )
    figure.add_vline(x=threshold, line_dash="dash", line_color=OTHERS_COLOUR)
    top = math.log10(max(int(table["images"].max()) if len(table) else 1, 1))
    figure.update_yaxes(type="log", range=[-0.3, top + 0.3], dtick=1, tickformat=",d")
    figure.update_xaxes(range=[0, 1])
    figure.update_layout(showlegend=False)
    return figure


def map_points(points: pd.DataFrame, projection: str, note: str) -> go.Figure:
    """Images as points, alike ones close together, by series; a point's customdata is [place].

    Args:
        points: place, x, y, series (text, or missing), at most some thousands. The largest series have a colour each,
            all others one together.
        projection: `map` for t-SNE, `pca` for principal components.
        note: below the title.
    """
    axes = (
        ("First component", "Second component") if projection == "pca" else ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")
    )
    figure = blank_figure("Which images look alike?", note, *axes, 620)
    series = points["series"].astype(object).where(points["series"].notna(), None)
    sizes = series.value_counts(dropna=False)
    apart = list(sizes.index[: MAX_SERIES if len(sizes) <= MAX_SERIES else MAX_SERIES - 1])
    names = display_names([NOT_GIVEN if name is None or name != name else str(name) for name in apart])
    drawn = [
        (series == value if value == value and value is not None else series.isna(), name, colour)
        for value, name, colour in zip(apart, names, PALETTE, strict=False)
    ]
    if len(apart) < len(sizes):
        rest = ~np.logical_or.reduce([which.to_numpy() for which, _, _ in drawn])
        drawn.insert(0, (pd.Series(rest, points.index), OTHERS_NAME, OTHERS_COLOUR))
    # Points beyond some hundreds are drawn by the graphics processor where the browser has one.
    kind = go.Scattergl if len(points) > MAX_DRAWN_SINGLY else go.Scatter
    for which, name, colour in drawn:
        part = points[which.to_numpy()]
        figure.add_trace(
            kind(
                x=part["x"].to_numpy(np.float32),
                y=part["y"].to_numpy(np.float32),
                mode="markers",
                name=name,
                marker={"color": colour, "size": 6, "opacity": 0.75},
                # Plain lists: numpy arrays would come back from a selection as objects, not as lists.
                customdata=[[int(place)] for place in part["place"]],
                hovertemplate="%{fullData.name}<extra></extra>",
            )
        )
    figure.update_layout(dragmode="lasso", showlegend=True, hovermode="closest")
    return figure


def _add_rows_of_images(figure: go.Figure, images: pd.Series | np.ndarray, names: list[str]) -> None:
    """A bar a name with its number beside it; a click tells the name's place."""
    figure.add_bar(
        x=images,
        y=names,
        orientation="h",
        texttemplate="%{x:,}",
        textposition="outside",
        cliponaxis=False,
        customdata=[[place] for place in range(len(names))],
        hovertemplate="%{y}<br>Images: %{x:,}<extra></extra>",
        marker_color=PALETTE[0],
    )
