"""A trial before a run: a button that starts a helper process, how far it is, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import streamlit as st

from core.config import TrainConfig
from core.data.splits import Division
from core.jobs import Status
from core.workspace import Workspace
from pages._components.asking import ask, asked
from pages._components.guard import fragment, guarded
from pages._components.text import escape
from pages._components.train.planned import Planned

T = TypeVar("T", covariant=True)


class Asked(Protocol[T]):
    """Gives the answer, None while the helper is at work; starts the helper where there is no answer."""

    def __call__(
        self, workspace: Workspace, config: TrainConfig, divided: Division, again: bool = False
    ) -> T | None: ...


@dataclass(frozen=True)
class Trial(Generic[T]):
    """One kind of trial.

    Attributes:
        name: for keys.
        button: what the button that starts it says.
        answer: see `Asked`; raises `DarkroomError` where the helper failed.
        progress: how far the helper is, None where there is neither answer nor helper for these settings.
        cancel: asks the helper to end.
        show: draws the answer.
        again: what the button that starts it anew says.
    """

    name: str
    button: str
    answer: Asked[T]
    progress: Callable[[Workspace, TrainConfig, Division], Status | None]
    cancel: Callable[[Workspace, TrainConfig, Division], None]
    show: Callable[[Planned, T], None]
    again: str = "Try again"


def draw_trial(planned: Planned, trial: Trial[T]) -> None:
    """Draw what there is to do or to see; an answer found earlier for the same settings is shown at once."""
    about = (planned.workspace, planned.config, planned.division())
    status = trial.progress(*about)
    if asked(trial.name):
        trial.answer(*about, again=status is not None)
        status = trial.progress(*about)
    if status is None:
        st.button(trial.button, key=trial.name, icon=":material/science:", on_click=ask, args=(trial.name,))
    elif status.ended:
        _ended(planned, trial)
    else:
        fragment(_at_work, run_every=1)(planned, trial)


def _ended(planned: Planned, trial: Trial[T]) -> None:
    with guarded():
        answer = trial.answer(planned.workspace, planned.config, planned.division())
        if answer is not None:
            trial.show(planned, answer)
    st.button(trial.again, key=f"{trial.name}-again", icon=":material/refresh:", on_click=ask, args=(trial.name,))


def _at_work(planned: Planned, trial: Trial[T]) -> None:
    about = (planned.workspace, planned.config, planned.division())
    status = trial.progress(*about)
    if status is None or status.ended:
        st.rerun()
    share = min(1.0, status.done / status.total) if status.total else 0.0
    st.progress(share, text=escape(status.message or status.phase.capitalize() or "Starting."))
    st.button("Cancel", key=f"{trial.name}-cancel", icon=":material/stop_circle:", on_click=trial.cancel, args=about)
