"""A trial before a run: a button that starts a helper process, how far it is, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import streamlit as st

from core.runs.trials import Trial
from pages._components.asking import ask, asked
from pages._components.guard import fragment, guarded
from pages._components.text import escape
from pages._components.train.planned import Planned

T = TypeVar("T")


@dataclass(frozen=True)
class Offer(Generic[T]):
    """One kind of trial, as it is offered to the user.

    Attributes:
        name: for keys.
        button: what the button that starts it says.
        show: draws the answer.
        again: what the button that starts it anew says.
    """

    name: str
    button: str
    trial: Trial[T]
    show: Callable[[Planned, T], None]
    again: str = "Try again"


def draw_trial(planned: Planned, offer: Offer[T]) -> None:
    """Draw what there is to do or to see; an answer found earlier for the same settings is shown at once."""
    about = (planned.workspace, planned.config, planned.division())
    status = offer.trial.progress(*about)
    if asked(offer.name):
        offer.trial.ask(*about, again=status is not None)
        status = offer.trial.progress(*about)
    if status is None:
        st.button(offer.button, key=offer.name, icon=":material/science:", on_click=ask, args=(offer.name,))
    elif status.ended:
        _ended(planned, offer)
    else:
        fragment(_at_work, run_every=1)(planned, offer)


def _ended(planned: Planned, offer: Offer[T]) -> None:
    with guarded():
        answer = offer.trial.ask(planned.workspace, planned.config, planned.division())
        if answer is not None:
            offer.show(planned, answer)
    st.button(offer.again, key=f"{offer.name}-again", icon=":material/refresh:", on_click=ask, args=(offer.name,))


def _at_work(planned: Planned, offer: Offer[T]) -> None:
    about = (planned.workspace, planned.config, planned.division())
    status = offer.trial.progress(*about)
    if status is None or status.ended:
        st.rerun()
    share = min(1.0, status.done / status.total) if status.total else 0.0
    st.progress(share, text=escape(status.message or status.phase.capitalize() or "Starting."))
    st.button(
        "Cancel", key=f"{offer.name}-cancel", icon=":material/stop_circle:", on_click=offer.trial.cancel, args=about
    )
