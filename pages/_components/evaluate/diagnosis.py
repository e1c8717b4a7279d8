"""Evaluate's view of what is probably wrong with a run's training or its images, and what to try."""

from __future__ import annotations

import streamlit as st

from core.evaluation.diagnosis import ASKED
from core.runs.store import Run
from pages._components import readers
from pages._components.evaluate.view import Report
from pages._components.text import escape


def draw(run: Run, report: Report) -> None:
    """The remarks with their figures, or that there are none, and what was looked for."""
    found = readers.diagnosis(run)
    if found is None:
        st.markdown("No predictions are stored with this run.")
        return
    if not found["remarks"]:
        st.success(escape(found["sentence"]), icon=":material/check_circle:")
    for remark in found["remarks"]:
        with st.container(border=True):
            st.markdown(f"**{escape(remark['title'])}**")
            st.markdown(escape(remark["finding"]))
            st.markdown(f":material/lightbulb: {escape(remark['advice'])}")
    st.caption(
        f"Looked for: {', '.join(ASKED)}. A remark is made only where the figures bear it at 99 %; where they do not, "
        "nothing is said, which is no proof that nothing is wrong. Intervals here are of 99 %."
    )
