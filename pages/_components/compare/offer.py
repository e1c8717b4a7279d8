"""Two runs that cannot be compared as they are: why, and the offer to test one again on the other's images."""

from __future__ import annotations

import streamlit as st

from core.evaluation import again_on
from core.evaluation.pairing import Pairing
from core.wording import count
from pages._components.asking import ask, asked
from pages._components.compare.chosen import Chosen
from pages._components.guard import fragment, guarded
from pages._components.states import state_text
from pages._components.text import escape


def offer(a: Chosen, b: Chosen, pairing: Pairing) -> None:
    """Draw it: the reason with two buttons, a job at work with its progress, or what a finished one left out."""
    jobs = [(run, other) for run, other in ((b, a), (a, b)) if _at_work(run, other)]
    if jobs:
        fragment(_progress, run_every=1)(*jobs[0])
        return
    if pairing.is_possible:
        if pairing.note:
            st.caption(f":material/replay: {escape(pairing.note)}")
        return
    st.warning(
        f"{a.letter} and {b.letter} cannot be compared image by image. {escape(pairing.why_not)}",
        icon=":material/difference:",
    )
    for run, other in ((b, a), (a, b)):
        if asked(_name(run, other)):
            with guarded():
                again_on.ask(run.run, other.run)
                st.rerun()
        status = again_on.progress(run.run, other.run)
        if status is not None and status.state in ("failed", "lost", "stopped"):
            st.markdown(f"{state_text(status.state)} {run.letter} on {other.letter}: {escape(status.message)}")
    with st.container(horizontal=True, key=f"offer-{a.letter}-{b.letter}"):
        for run, other in ((b, a), (a, b)):
            possible = run.run.has_bundle and bool(other.row["num_test"] > 0)
            st.button(
                f"Test {run.letter} on {other.letter}'s images",
                icon=":material/replay:",
                key=_name(run, other),
                disabled=not possible,
                on_click=ask,
                args=(_name(run, other),),
                help=f"Classifies the test images of {other.letter} with the model of {run.letter}, in the background. "
                f"Images {run.letter} has learned from, and their near copies, are left out and counted.",
            )


def _progress(run: Chosen, other: Chosen) -> None:
    status = again_on.progress(run.run, other.run)
    if status is None or status.ended:
        st.rerun()
    share = min(1.0, status.done / status.total) if status.total else 0.0
    done = f": {count(status.done)} of {count(status.total, 'image')}" if status.total else ""
    st.progress(share, text=f"Testing {run.letter} on the test images of {other.letter}{done}")
    st.button(
        "Cancel",
        icon=":material/stop_circle:",
        key=f"cancel-{_name(run, other)}",
        on_click=again_on.cancel,
        args=(run.run, other.run),
        help="Nothing is kept of a test that did not end.",
    )


def _at_work(run: Chosen, other: Chosen) -> bool:
    status = again_on.progress(run.run, other.run)
    return status is not None and not status.ended


def _name(run: Chosen, other: Chosen) -> str:
    return f"again-{run.run.id}-{other.run.id}"
