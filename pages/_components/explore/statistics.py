"""Classes and measurements as charts. A click on a bar, or a stretch marked in a histogram, shows those images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import charts_data
from core.data import summary
from core.data.datasets import Dataset
from core.data.filters import MEASURES, Filters
from core.wording import count, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.explore import colours
from pages._components.explore.filters_bar import filters_bar
from pages._components.figures import show_figure
from pages._components.text import escape

BARS_A_PAGE = 40
BY_CLASS, TOGETHER = "Class by class", "All together"
_SIZES = ("width", "height", "aspect", "megapixels", "num_bytes")
_LIGHT = ("brightness", "contrast", "sharpness", "entropy", "colourfulness")
_QUESTIONS = {
    "width": "How wide are the images?",
    "height": "How tall are the images?",
    "aspect": "Which shapes do the images have?",
    "megapixels": "How many pixels do the images have?",
    "num_bytes": "How large are the files?",
    "brightness": "How bright are the images?",
    "contrast": "How strong is the contrast?",
    "sharpness": "How sharp are the images?",
    "entropy": "How much is there to see?",
    "colourfulness": "How colourful are the images?",
}
_ORDERS = {"images-down": "Most images first", "images-up": "Fewest images first", "label": "By name"}


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """One group of charts, for the images that pass the filters.

    No fragment: a click on a chart leads to another view, so all of the page is drawn again.
    """
    filters = filters_bar(dataset)
    groups = {
        "Classes": _classes,
        "Sizes": lambda *_: _measures(dataset, filters, _SIZES, grid=True),
        "Light & detail": lambda *_: _measures(dataset, filters, _LIGHT),
        "Formats": _kinds,
        "Colours": lambda *_: colours.draw(workspace, dataset, filters),
    }
    names = list(groups)
    group = st.segmented_control(
        "Charts", names, required=True, **keys.linked(keys.CHARTS, keys.one_of(names), names[0])
    )
    groups[group](dataset, filters)


def _classes(dataset: Dataset, filters: Filters) -> None:
    counts = readers.class_counts(dataset, filters)
    if filters.classes:
        counts = counts[counts["label"].isin(filters.classes)]
    st.markdown(_balance(counts))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox(
            "Order",
            list(_ORDERS),
            format_func=_ORDERS.__getitem__,
            width=220,
            **keys.linked("classes-order", keys.one_of(_ORDERS), "images-down"),
        )
        yes = {"True": True, "False": False}
        logarithmic = st.toggle("Log scale", **keys.linked("classes-log", yes.get, False))
    counts = {
        "images-down": counts,
        "images-up": counts.sort_values(["images", "label"]),
        "label": counts.sort_values("label"),
    }[order].reset_index(drop=True)
    page = keys.page_of(len(counts), BARS_A_PAGE, keys.CLASSES_PAGE)
    first = (page - 1) * BARS_A_PAGE
    rows = counts.iloc[first : first + BARS_A_PAGE].reset_index(drop=True)
    note = f"Classes {first + 1:,} to {first + len(rows):,} of {count(len(counts))}" if len(rows) < len(counts) else ""
    show_figure(
        charts_data.class_bars(rows, logarithmic, note),
        counts,
        "images-per-class",
        "Number of images of each class",
        lambda at: keys.show_images(lambda now: replace(now, classes=(rows["label"].iloc[at[0]],))),
    )


def _balance(counts: pd.DataFrame) -> str:
    """The most and the least common class in one line."""
    if counts.empty:
        return "No class is left."
    most, least = counts.iloc[0], counts.iloc[-1]
    if len(counts) == 1:
        return f"{escape(most['label'])} has {count(most['images'], 'image')}."
    ratio = summary.imbalance_ratio(counts)
    if ratio == 1:
        return (
            f"{count(len(counts), 'class', 'classes')} with {count(least['images'], 'image')} each: imbalance ratio 1."
        )
    words = (
        f"{count(len(counts), 'class', 'classes')}; the largest is **{escape(most['label'])}** with "
        f"{count(most['images'], 'image')}, the smallest **{escape(least['label'])}** with {count(least['images'])}"
    )
    return f"{words}: imbalance ratio {significant(ratio)}." if math.isfinite(ratio) else f"{words}."


def _measures(dataset: Dataset, filters: Filters, columns: Sequence[str], grid: bool = False) -> None:
    classes, shares = _series(dataset, filters)
    for number, column in enumerate(columns):
        if number % 2 == 0:
            halves = st.columns(2)
        with halves[number % 2]:
            _measure(dataset, filters, column, classes, shares)
    if grid:
        table = readers.counted(dataset, filters, "grid", summary.size_grid)
        show_figure(
            charts_data.size_grid_map(table),
            table,
            "image-sizes",
            "Images by width and height",
            lambda at: keys.show_images(partial(_of_size, table.iloc[at[0]])),
        )


def _of_size(cell: pd.Series, now: Filters) -> Filters:
    """These filters, held to the sizes of one cell."""
    for side in ("width", "height"):
        now = now.with_range(side, float(cell[f"{side}_low"]), float(cell[f"{side}_high"]))
    return now


def _series(dataset: Dataset, filters: Filters) -> tuple[tuple[str | None, ...], bool]:
    """The classes to draw apart, largest of the dataset first so that colours stay, and whether to compare shapes."""
    labels = readers.labels(dataset)
    against = st.selectbox(
        "Compare",
        [BY_CLASS, TOGETHER, *labels],
        format_func=lambda one: one if one in (BY_CLASS, TOGETHER) else f"{one} against all others",
        width=320,
        help="Bars of one class beside all others are shares of each, so that small and large classes compare.",
        **keys.linked(keys.AGAINST, keys.one_of({BY_CLASS, TOGETHER, *labels}), BY_CLASS),
    )
    if against in labels:
        return (against, summary.OTHERS), True
    wanted = [label for label in readers.class_counts(dataset)["label"] if label in (filters.classes or labels)]
    if against == TOGETHER or len(wanted) < 2:
        return (summary.OTHERS,), False
    if len(wanted) <= charts_data.MAX_SERIES:
        return tuple(wanted), False
    return (*wanted[: charts_data.MAX_SERIES - 1], summary.OTHERS), False


def _measure(dataset: Dataset, filters: Filters, column: str, classes: tuple[str | None, ...], shares: bool) -> None:
    measure = MEASURES[column]
    # A file size has its unit on the ticks.
    x_title = measure.title if column == "num_bytes" else f"{measure.title} ({measure.unit or 'no unit'})"

    def drawn(rows: pd.DataFrame, mask: np.ndarray) -> tuple[pd.DataFrame, go.Figure]:
        table = summary.histogram(rows, mask, column, classes)
        question = _QUESTIONS[column]
        return table, charts_data.histogram_bars(table, question, x_title, column == "num_bytes", shares)

    table, figure = readers.counted(dataset, filters, ("histogram", column, classes, shares), drawn)
    if table.empty:
        st.caption(f"{measure.title}: not known of these images. Index the dataset again to have it measured.")
        return

    def marked(bins: list[list[Any]]) -> None:
        low = min(one[0] for one in bins)
        high = None if any(one[1] is None for one in bins) else max(one[1] for one in bins)
        keys.show_images(lambda now: now.with_range(column, low, high))

    show_figure(figure, table, f"histogram-{column}", f"Histogram: {measure.title}", on_range=marked)


def _kinds(dataset: Dataset, filters: Filters) -> None:
    table = readers.counted(dataset, filters, "kinds", summary.kinds)
    show_figure(
        charts_data.kind_bars(table),
        table,
        "kinds",
        "Images by format and colour mode",
        lambda at: keys.show_images(
            lambda now: replace(now, formats=(table["format"].iloc[at[0]],), modes=(table["mode"].iloc[at[0]],))
        ),
    )
