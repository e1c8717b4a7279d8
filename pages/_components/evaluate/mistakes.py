"""Evaluate's view of what the model got wrong."""

from __future__ import annotations

import streamlit as st

from core.evaluation.predictions import mistakes
from core.runs.store import Run
from core.wording import count
from pages._components import readers
from pages._components.evaluate.view import Report
from pages._components.guard import fragment
from pages._components.predicted_images import predicted_images


@fragment
def draw(run: Run, report: Report) -> None:
    """The wrongly classified test images."""
    rows = readers.predictions(run)
    wrong = None if rows is None else mistakes(rows)
    if wrong is None or wrong.empty:
        st.markdown("No predictions are stored with this run." if wrong is None else "Not one test image is wrong.")
        return
    st.markdown(
        f"{count(len(wrong), 'test image')} of {count(report['num_test'])}, the most confident first. "
        "What the model is sure of and wrong about is often a wrong label."
    )
    predicted_images(run, wrong, key="mistakes")
