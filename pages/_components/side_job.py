"""A slow look at a run's model: the button that starts it, how far it is, and the button that cancels it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.evaluation.side_jobs import SideJob
from core.jobs import Status
from core.runs.store import Run
from core.wording import count, duration
from pages._components.asking import ask, asked
from pages._components.guard import fragment, guarded
from pages._components.text import escape


def side_job(run: Run, job: SideJob, button: str, choose: Callable[[], dict[str, Any]]) -> None:
    """Draw what there is to do: start it, or watch it. Its answer is for the caller to show.

    Args:
        button: what the button that starts it says.
        choose: draws what can be chosen before, and gives it as the request.
    """
    status = job.progress(run)
    if status is not None and not status.ended:
        fragment(_at_work, run_every=1)(run, job)
        return
    if status is not None and status.state in ("failed", "lost"):
        st.error(escape(status.message), icon=":material/error:")
    elif status is not None and status.state == "stopped":
        st.info("It was cancelled; what an earlier one found stays.", icon=":material/stop_circle:")
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{job.name}-start"):
        request = choose()
        st.button(button, key=job.name, icon=":material/play_arrow:", on_click=ask, args=(job.name,))
    if asked(job.name):
        with guarded():
            job.ask(run, **request)
            st.rerun()


def _at_work(run: Run, job: SideJob) -> None:
    status = job.progress(run)
    if status is None or status.ended:
        st.rerun()
    bar_with_cancel(status, _sentence(status), f"{job.name}-cancel", job.cancel, run)


def bar_with_cancel(status: Status, words: str, key: str, cancel: Callable[..., None], *arguments: object) -> None:
    """How far a job is, in words over the bar, and the button that calls `cancel(*arguments)`."""
    share = min(1.0, status.done / status.total) if status.total else 0.0
    st.progress(share, text=escape(words))
    st.button(
        "Cancel",
        key=key,
        icon=":material/stop_circle:",
        disabled=status.state == "stopping",
        on_click=cancel,
        args=arguments,
    )


def _sentence(status: Status) -> str:
    if status.state == "stopping":
        return "Stopping."
    words = status.message or "Starting."
    if not status.total:
        return words
    left = f", {duration(status.eta_s)} left" if status.eta_s is not None else ""
    return f"{words} {count(status.done)} of {count(status.total)}{left}"
