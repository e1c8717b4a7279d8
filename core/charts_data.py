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


def class_bars(counts: pd.DataFrame, logarithmic: bool, note: str = "") -> go.Figure:
    """How many images each class has, in the order of the rows; a bar's customdata is [its place in the table].

    Args:
        counts: label, images.
        note: below the title, such as which part of the classes this is.
    """
    names = display_names(counts["label"].tolist())
    figure = blank_figure("How many images does each class have?", note, "Images", "Class", row_height(len(names)))
    figure.add_bar(
        x=counts["images"],
        y=names,
        orientation="h",
        texttemplate="%{x:,}",
        textposition="outside",
        cliponaxis=False,
        customdata=[[place] for place in range(len(names))],
        hovertemplate="%{y}<br>Images: %{x:,}<extra></extra>",
        marker_color=PALETTE[0],
    )
    if logarithmic:
        top = math.log10(max(int(counts["images"].max() or 1), 1)) if len(counts) else 0
        figure.update_xaxes(type="log", range=[-0.3, top + 0.3], dtick=1, tickformat=",d")
        figure.update_xaxes(title_text="Images (log scale)")
    else:
        figure.update_xaxes(rangemode="tozero")
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
    labels = table["label"].drop_duplicates()
    names = display_names([OTHERS_NAME if pd.isna(label) else label for label in labels])
    if len(labels) == 1:
        names = ["images"]
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        rows = table[table["label"].isna() if pd.isna(label) else table["label"] == label]
        low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
        width = float(low[1] - low[0]) if len(low) > 1 else float(high[0] - low[0]) if np.isfinite(high[0]) else 1.0
        total = max(1, int(rows["images"].sum()))
        colour = OTHERS_COLOUR if pd.isna(label) and len(labels) > 1 else PALETTE[number % len(PALETTE)]
        figure.add_bar(
            x=low + width / 2,
            y=100 * rows["images"] / total if shares else rows["images"],
            width=width,
            name=name,
            customdata=_bins(low, high, is_bytes),
            hovertemplate="%{customdata[2]}: " + ("%{y:.1f} %" if shares else "%{y:,}"),
            marker={"color": colour, "line": {"width": 0}},
            opacity=0.65 if shares else 1,
        )
    figure.update_layout(
        barmode="overlay" if shares else "stack",
        bargap=0,
        dragmode="select",
        selectdirection="h",
        showlegend=len(labels) > 1,
    )
    if len(labels) > 1:
        figure.update_layout(margin_b=90)
    if is_bytes:
        figure.update_xaxes(tickformat="~s", ticksuffix="B")
    return figure


def kind_bars(kinds: pd.DataFrame) -> go.Figure:
    """How many images have which format and colour mode; a bar's customdata is [its place in the table].

    Args:
        kinds: format, mode, images.
    """
    names = display_names([f"{row.format}, {row.mode}" for row in kinds.itertuples()])
    figure = blank_figure(
        "Which formats and colour modes are there?", "", "Images", "Format, mode", row_height(len(names))
    )
    figure.add_bar(
        x=kinds["images"],
        y=names,
        orientation="h",
        texttemplate="%{x:,}",
        textposition="outside",
        cliponaxis=False,
        customdata=[[place] for place in range(len(names))],
        hovertemplate="%{y}<br>Images: %{x:,}<extra></extra>",
        marker_color=PALETTE[0],
    )
    figure.update_xaxes(rangemode="tozero", showgrid=True)
    figure.update_layout(dragmode=False)
    return with_class_rows(figure, names)


def size_grid_map(grid: pd.DataFrame) -> go.Figure:
    """How many images have which width and height together.

    Args:
        grid: width_low, width_high, height_low, height_high (pixels, low <= side < high), images; empty cells may
            be left out.
    """
    figure = blank_figure("Which sizes do the images have?", "", "Width (pixels)", "Height (pixels)", 420)
    if grid.empty:
        return figure
    widths, heights = _borders(grid, "width"), _borders(grid, "height")
    counts = np.full((len(heights) - 1, len(widths) - 1), np.nan)
    words = np.full(counts.shape, "", dtype=object)
    column, row = widths.searchsorted(grid["width_low"]), heights.searchsorted(grid["height_low"])
    counts[row, column] = grid["images"]
    wide = _pixel_ranges(grid["width_low"].to_numpy(float), grid["width_high"].to_numpy(float))
    tall = _pixel_ranges(grid["height_low"].to_numpy(float), grid["height_high"].to_numpy(float))
    words[row, column] = [
        f"{a} wide, {b} tall: {count(int(n), 'image')}" for a, b, n in zip(wide, tall, grid["images"], strict=True)
    ]
    colour, colorbar = count_colours(counts, "Images")
    figure.add_heatmap(
        x=widths,
        y=heights,
        z=colour,
        customdata=words,
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorbar=colorbar,
        colorscale=SCALE,
    )
    return figure


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


def _borders(grid: pd.DataFrame, side: str) -> np.ndarray:
    """All bin borders, ascending; a stretch without images becomes one empty bin."""
    return np.unique(np.concatenate([grid[f"{side}_low"], grid[f"{side}_high"]]).astype(float))


def _pixel_ranges(low: np.ndarray, high: np.ndarray) -> list[str]:
    last = np.ceil(high) - 1  # the largest whole number of pixels below the border
    first = np.ceil(low)
    return [
        f"{count(int(a))} px" if b <= a else f"{count(int(a))}-{count(int(b))} px"
        for a, b in zip(first, last, strict=True)
    ]
