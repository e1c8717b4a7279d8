"""Evaluate's view of spoiled images: how far the model still answers rightly when something went wrong with them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.charts_conditions import robustness_chart
from core.evaluation.robustness import ROBUSTNESS, SIZES, USUAL_SIZE
from core.runs.store import Run
from core.wording import count, percent
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.side_job import side_job
from pages._components.text import escape


def draw(run: Run, report: Report) -> None:
    """What the last test found, and the way to start one."""
    found = ROBUSTNESS.answer(run)
    if found is None:
        st.info(
            "Test images are blurred, made noisy, compressed, made lighter and darker and turned, at five severities, "
            "and classified again.",
            icon=":material/blur_on:",
        )
    side_job(run, ROBUSTNESS, "Test it" if found is None else "Test it again", _choose)
    if found is not None:
        _show(found)


def _choose() -> dict[str, Any]:
    images = st.segmented_control(
        "Test images",
        SIZES,
        default=USUAL_SIZE,
        required=True,
        key="robustness-images",
        help="Each is classified 31 times. More images tell smaller differences.",
    )
    return {"images": images}


def _show(found: dict[str, Any]) -> None:
    st.markdown(escape(found["sentence"]))
    rows = found["rows"]
    table = pd.DataFrame(rows)
    show_figure(robustness_chart(rows), table, "robustness", "Accuracy by severity, one line for each corruption")
    left_out = f" {count(found['unreadable'], 'image')} could not be read." if found["unreadable"] else ""
    st.caption(
        f"Of {count(found['images'], 'test image')}, the same ones for every point.{left_out} Over all corruptions "
        f"and severities {percent(found['mean'])} are right. Severities are chosen after Hendrycks and Dietterich "
        "(2019) and done to the image as the network gets it, lengths as shares of its side."
    )
    with st.expander("What each severity means"):
        wide = table[table["severity"] > 0].pivot(index="title", columns="severity", values="amount")
        wide.columns = [str(name) for name in wide.columns]
        st.dataframe(wide.reset_index(names="Corruption"), hide_index=True)
