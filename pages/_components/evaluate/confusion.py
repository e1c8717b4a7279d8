"""Evaluate's view of what is taken for what, and of the images behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.charts_evaluation import MAX_CLICKABLE, Cells, confusion_chart
from core.evaluation.metrics import confused_pairs, confused_with, normalise_rows
from core.evaluation.predictions import cell
from core.runs.store import Run
from core.wording import count
from pages._components import keys, readers
from pages._components.confusion_grid import MOST_CLASSES, confusion_grid
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.guard import fragment
from pages._components.predicted_images import predicted_images
from pages._components.text import escape

CELLS: dict[str, Cells] = {"Counts": "counts", "Share of the true class": "rows", "Share of the answers": "columns"}
MOST_PAIRS, MOST_AROUND = 20, 12


@fragment
def draw(run: Run, report: Report) -> None:
    """The confusion matrix; a click on a cell shows its images."""
    classes, counts = report["classes"], readers.confusion(run)
    shown = st.segmented_control("Cells show", list(CELLS), default=next(iter(CELLS)), required=True)
    zoomed = _zoom(classes) if len(classes) > MOST_CLASSES else None
    matrix = st.container()
    left, right = st.columns(2)
    free: dict[str, Any] = {"index": None, "placeholder": "Choose a class"}
    known = keys.one_of(classes)
    true = left.selectbox("True class", classes, **free, **keys.linked(keys.TRUE, known, None))
    predicted = right.selectbox("Predicted class", classes, **free, **keys.linked(keys.PREDICTED, known, None))
    picked = None if true is None or predicted is None else (true, predicted)
    with matrix:
        _matrix(classes, counts, CELLS[shown], zoomed, picked)
        _pairs(counts, classes)
    _images(run, picked)


def _zoom(classes: list[str]) -> int | None:
    """The class to look around, where there are too many to read them all at once."""
    chosen = st.selectbox(
        "Look around a class",
        classes,
        index=None,
        placeholder=f"All {len(classes):,} classes; type to search one",
        help=f"Shows the class with the {MOST_AROUND} it is mixed up with most, as cells to click.",
        **keys.linked(keys.CLASS, keys.one_of(classes), None),
    )
    return None if chosen is None else classes.index(chosen)


def _matrix(
    classes: list[str], counts: np.ndarray, cells: Cells, zoomed: int | None, picked: tuple[str, str] | None
) -> None:
    shares = normalise_rows(counts.T).T if cells == "columns" else normalise_rows(counts)
    if zoomed is not None:
        around = confused_with(counts, zoomed, MOST_AROUND)
        counts, shares = counts[np.ix_(around, around)], shares[np.ix_(around, around)]
        classes = [classes[place] for place in around]
        picked = picked if picked and set(picked) <= set(classes) else None
    if len(classes) <= MOST_CLASSES:
        confusion_grid(counts, shares, classes, cells != "counts", picked, _pick, key="confusion")
        return
    table = pd.DataFrame(counts, index=classes, columns=classes).rename_axis("true class").reset_index()
    figure = confusion_chart(counts, classes, cells)
    alt = "Confusion matrix, rows true class, columns predicted class"
    clicked = (lambda at: _pick(classes[at[0]], classes[at[1]])) if len(classes) <= MAX_CLICKABLE else None
    show_figure(figure, table, f"confusion-{cells}", alt, clicked)


def _pairs(counts: np.ndarray, classes: list[str]) -> None:
    pairs = confused_pairs(counts, classes, MOST_PAIRS)
    if pairs.empty:
        return
    key = "confused-pairs"

    def chosen() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            _pick(pairs["true"].iloc[rows[0]], pairs["predicted"].iloc[rows[0]])

    with st.expander(f"The {count(len(pairs), 'commonest mistake')}: tick one to see its images"):
        st.dataframe(
            pairs.assign(share=100 * pairs["share"]),
            hide_index=True,
            key=key,
            on_select=chosen,
            selection_mode="single-row",
            column_config={
                "true": st.column_config.TextColumn("True class"),
                "predicted": st.column_config.TextColumn("Taken for"),
                "images": st.column_config.NumberColumn("Test images", format="localized"),
                "share": st.column_config.NumberColumn("Of the true class", format="%.1f %%"),
            },
        )


def _pick(true: str, predicted: str) -> None:
    for parameter, value in ((keys.TRUE, true), (keys.PREDICTED, predicted), (keys.PAGE, None)):
        keys.write(parameter, value)


def _images(run: Run, picked: tuple[str, str] | None) -> None:
    rows = readers.predictions(run)
    if picked is None or rows is None:
        st.caption("Click a cell, or choose two classes, to see its images.")
        return
    images = cell(rows, *picked)
    st.subheader(f"True {escape(picked[0])}, predicted {escape(picked[1])}: {count(len(images), 'image')}")
    predicted_images(run, images, key="cell")
