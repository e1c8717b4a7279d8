"""Evaluate's view of what the model got wrong: found, seen beside what it learned from, and corrected."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation.nearest import NEAREST, Nearest, read_nearest
from core.evaluation.predictions import ORDERS, mistakes
from core.runs.store import Run
from core.wording import count
from pages._components import keys, readers
from pages._components.evaluate.view import Report
from pages._components.guard import fragment
from pages._components.predicted_images import predicted_images
from pages._components.side_job import side_job


def draw(run: Run, report: Report) -> None:
    """The wrongly classified test images, filtered and sorted; on request beside the nearest training images."""
    rows = readers.predictions(run)
    if rows is None or not report["test_errors"]:
        st.markdown("No predictions are stored with this run." if rows is None else "Not one test image is wrong.")
        return
    beside = st.toggle(
        "Beside the training images nearest to each",
        help="Nearest by what the network's last layer is given. They often show why it answered so: a twin with "
        "another label, or a class learned from images of the wrong kind.",
        **keys.linked(keys.BESIDE, {"True": True, "False": False}.get, False),
    )
    near = read_nearest(run) if beside else None
    if near is not None:
        words = "Distance is 0 for images that look the same to the network, and about 1 for unrelated ones."
        st.caption(f"{words} {near.left_out()}")
    elif beside:
        side_job(run, NEAREST, "Find them", _nothing_to_choose)
    _images(run, report, near)


@fragment
def _images(run: Run, report: Report, near: Nearest | None) -> None:
    rows = readers.predictions(run)
    assert rows is not None  # `draw` has looked
    wrong = mistakes(rows)
    with st.container(horizontal=True, vertical_alignment="bottom", key="mistakes-choice"):
        order = st.selectbox(
            "Sorted by", list(ORDERS), **keys.linked(keys.ORDER, keys.one_of(ORDERS), next(iter(ORDERS))), width=230
        )
        true = _class("True class", keys.TRUE, wrong["label"])
        predicted = _class("Predicted class", keys.PREDICTED, wrong["predicted"])
    chosen = mistakes(rows, order=order, label=true, predicted=predicted)
    if chosen.empty:
        st.markdown("There is no mistake of this kind. Choose other classes.")
        return
    shown = f"{count(len(chosen))} of " if len(chosen) < len(wrong) else ""
    st.markdown(
        f"{shown}{count(len(wrong), 'mistake')} in {count(report['num_test'], 'test image')}. "
        "What the model is sure of and wrong about is often a wrong label."
    )
    predicted_images(run, chosen, key="mistakes", near=near)


def _nothing_to_choose() -> dict[str, Any]:
    return {}


def _class(title: str, key: str, values: pd.Series) -> str | None:
    """The class to show alone; None for all."""
    found = values.value_counts()
    options = sorted(found.index)
    return st.selectbox(
        title,
        options,
        index=None,
        placeholder="All classes",
        format_func=lambda name: f"{name} ({count(int(found[name]))})",
        width=230,
        **keys.linked(key, keys.one_of(options), None),
    )
