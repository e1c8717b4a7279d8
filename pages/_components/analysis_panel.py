"""The analysis of a dataset as a job: start it, watch it, cancel it, and say when it no longer fits the dataset."""

from __future__ import annotations

import streamlit as st

from core.data import analysis
from core.data.analysis import Summary
from core.data.datasets import Dataset
from core.jobs import Status
from core.wording import count, duration
from core.workspace import Workspace
from pages._components.guard import fragment, guarded
from pages._components.text import escape

_WHY = (
    "A network that has seen a million photos describes each image, on this machine and without the internet. From "
    "that come likely wrong labels, a map of the images, and which ones look alike."
)


def analysis_panel(workspace: Workspace, dataset: Dataset) -> Summary | None:
    """Draw what there is to say or do; gives the last finished analysis, which may be of an earlier version."""
    summary = analysis.read_summary(workspace, dataset.id)
    status = analysis.analysis_status(workspace, dataset.id)
    if status is not None and not status.ended:
        fragment(_live, run_every=1)(workspace, dataset)
        return summary
    if status is not None and status.state in ("failed", "lost"):
        st.error(escape(status.message), icon=":material/error:")
    elif status is not None and status.state == "stopped":
        st.info(escape(status.message), icon=":material/stop_circle:")
    if summary is None:
        st.info(_WHY, icon=":material/hub:")
        st.caption(
            f"{count(dataset.num_images, 'image')}, about 100 a second on two cores without a graphics card. It goes "
            "on when you leave the page, and what it has computed is kept when it is stopped."
        )
        _start_button(workspace, dataset, "Analyse the images", "primary")
    elif analysis.is_stale(summary, dataset):
        with st.container(horizontal=True, vertical_alignment="center", key="stale-analysis"):
            st.markdown(
                ":material/update: The labels or the images have changed since this analysis. Images that were "
                "analysed are not read again, so another one is quick."
            )
            _start_button(workspace, dataset, "Analyse again", "secondary")
    return summary


def _start_button(workspace: Workspace, dataset: Dataset, words: str, kind: str) -> None:
    if st.button(words, icon=":material/play_arrow:", type=kind, key="start-analysis"):
        with guarded():
            analysis.start_analysis(workspace, dataset)
            st.rerun()


def _live(workspace: Workspace, dataset: Dataset) -> None:
    status = analysis.analysis_status(workspace, dataset.id)
    if status is None or status.ended:
        st.rerun()
    st.progress(min(1.0, status.done / status.total) if status.total else 0.0, text=escape(_sentence(status)))
    st.button(
        "Cancel",
        icon=":material/stop_circle:",
        key="cancel-analysis",
        disabled=status.state == "stopping",
        on_click=analysis.cancel_analysis,
        args=(workspace, dataset.id),
    )


def _sentence(status: Status) -> str:
    if status.state == "stopping":
        return "Stopping; what was computed is kept."
    words = status.message or "Starting."
    if not status.total:
        return words
    rate = f", {status.rate:,.0f} images/s" if status.rate else ""
    left = f", {duration(status.eta_s)} left" if status.eta_s is not None else ""
    return f"{words} {count(status.done)} of {count(status.total, 'image')}{rate}{left}"
