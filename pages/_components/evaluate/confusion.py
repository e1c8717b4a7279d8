"""Evaluate's view of what is taken for what, and of the images behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import charts_evaluation
from core.evaluation.metrics import normalise_rows
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

CELLS = ("Counts", "Share of the true class")


@fragment
def draw(run: Run, report: Report) -> None:
    """The confusion matrix; a click on a cell shows its images."""
    classes, counts = report["classes"], np.asarray(report["confusion"])
    as_shares = st.segmented_control("Cells show", CELLS, default=CELLS[0], required=True) == CELLS[1]
    matrix = st.container()
    left, right = st.columns(2)
    free: dict[str, Any] = {"index": None, "placeholder": "Choose a class"}
    known = keys.one_of(classes)
    true = left.selectbox("True class", classes, **free, **keys.linked(keys.TRUE, known, None))
    predicted = right.selectbox("Predicted class", classes, **free, **keys.linked(keys.PREDICTED, known, None))
    picked = None if true is None or predicted is None else (true, predicted)
    with matrix:
        if len(classes) <= MOST_CLASSES:
            confusion_grid(counts, normalise_rows(counts), classes, as_shares, picked, _pick, key="confusion")
        else:
            table = pd.DataFrame(counts, index=classes, columns=classes).rename_axis("true class").reset_index()
            figure = charts_evaluation.confusion_chart(counts, classes, "rows" if as_shares else "counts")
            alt = "Confusion matrix, rows true class, columns predicted class"
            show_figure(figure, table, "confusion-matrix", alt, lambda at: _pick(classes[at[0]], classes[at[1]]))
    _images(run, picked)


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
