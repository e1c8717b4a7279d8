"""Runs that cannot be compared as they are: why, and the offer to test them again on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.evaluation import again_on
from core.evaluation.pairing import Pairing
from core.wording import count
from pages._components.asking import ask, asked
from pages._components.compare.chosen import Chosen
from pages._components.guard import fragment, guarded
from pages._components.states import state_text
from pages._components.text import escape

Work = tuple[Chosen, Chosen]  # a run, and the one on whose test images it is tested


def offer(reference: Chosen, pairings: Sequence[tuple[Chosen, Pairing]]) -> None:
    """Draw it for each run that cannot be compared with the reference: the reason and what can be done.

    Of tests at work their progress, of finished ones what they left out.
    """
    works = [work for other, _ in pairings for work in ((other, reference), (reference, other))]
    if any(_at_work(work) for work in works):
        fragment(_progress, run_every=1)([work for work in works if _at_work(work)])
    for _, pairing in pairings:
        if pairing.note:
            st.caption(f":material/replay: {escape(pairing.note)}")
    refused = [(other, pairing) for other, pairing in pairings if not pairing.is_possible]
    refused = [(other, pairing) for other, pairing in refused if not _at_work((other, reference))]
    if refused:
        _refusals(reference, refused)


def _refusals(reference: Chosen, refused: Sequence[tuple[Chosen, Pairing]]) -> None:
    reasons = [f"{reference.letter} and {other.letter}: {escape(pairing.why_not)}" for other, pairing in refused]
    st.warning("Not compared image by image.\n\n" + "\n\n".join(reasons), icon=":material/difference:")
    first = refused[0][0]
    choices: dict[str, list[Work]] = {}
    if len(refused) == 1:
        choices[f"Test {first.letter} on {reference.letter}'s images"] = [(first, reference)]
        choices[f"Test {reference.letter} on {first.letter}'s images"] = [(reference, first)]
    else:
        choices[f"Test them all on {reference.letter}'s images"] = [(other, reference) for other, _ in refused]
    for label, works in choices.items():
        if asked(_name(label)):
            with guarded():
                for run, other in works:
                    again_on.ask(run.run, other.run)
                st.rerun()
    for work in (work for works in choices.values() for work in works):
        status = again_on.progress(work[0].run, work[1].run)
        if status is not None and status.state in ("failed", "lost", "stopped"):
            st.markdown(
                f"{state_text(status.state)} {work[0].letter} on {work[1].letter}'s images: {escape(status.message)}"
            )
    with st.container(horizontal=True, key=f"offers-{reference.letter}"):
        for label, works in choices.items():
            st.button(
                label,
                icon=":material/replay:",
                key=f"button-{_name(label)}",
                disabled=not all(_is_possible(work) for work in works),
                on_click=ask,
                args=(_name(label),),
                help="Classifies the other's test images with the run's model, in the background. Images it has "
                "learned from, and their near copies, are left out and counted. It must know all their classes.",
            )


def _progress(works: Sequence[Work]) -> None:
    at_work = [work for work in works if _at_work(work)]
    if len(at_work) < len(works):
        st.rerun()
    for run, other in at_work:
        status = again_on.progress(run.run, other.run)
        share = min(1.0, status.done / status.total) if status and status.total else 0.0
        done = f": {count(status.done)} of {count(status.total, 'image')}" if status and status.total else ""
        st.progress(share, text=f"Testing {run.letter} on the test images of {other.letter}{done}")
        st.button(
            "Cancel",
            icon=":material/stop_circle:",
            key=f"cancel-again-{run.run.id}-{other.run.id}",
            on_click=again_on.cancel,
            args=(run.run, other.run),
            help="Nothing is kept of a test that did not end.",
        )


def _is_possible(work: Work) -> bool:
    run, other = work
    return bool(other.row["num_test"] > 0) and again_on.knows_classes(run.run, other.run)


def _at_work(work: Work) -> bool:
    status = again_on.progress(work[0].run, work[1].run)
    return status is not None and not status.ended


def _name(label: str) -> str:
    return f"again-{label}"
