"""A run whose turn has not come: its place, what it waits for, and the buttons that change that."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.runs import queue
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

_FIRST, _HOLD, _RELEASE, _CANCEL = "queue-first", "queue-hold", "queue-release", "queue-cancel"


def waiting_panel(run: Run) -> None:
    """Draw it."""
    workspace = Workspace.default()
    changes: dict[str, Callable[[], None]] = {
        _FIRST: lambda: queue.move(workspace, run.id, 1),
        _HOLD: lambda: queue.hold(workspace, run.id),
        _RELEASE: lambda: queue.release(workspace, run.id),
        _CANCEL: lambda: queue.cancel(workspace, run.id),
    }
    for what, change in changes.items():
        if asked(f"{what}-{run.id}"):
            with guarded():
                change()
    row = queue.waiting_one(workspace, run.id)
    if row is None:
        st.markdown("It is about to start, or to end.")
        return
    st.markdown(f"Place **{count(row.place)}** in the queue. It waits {escape(row.waits_for)}.")
    with st.container(horizontal=True):
        _button("Go next", _FIRST, "vertical_align_top", run, row.place == 1, "Puts it before all others that wait.")
        if row.held:
            _button("Release", _RELEASE, "play_arrow", run, help="It takes its turn again.")
        else:
            _button("Hold", _HOLD, "pause", run, help="Lets the others go first until it is released.")
        _button("Cancel", _CANCEL, "close", run, help="Takes it out of the queue. It can be resumed later.")


def _button(label: str, what: str, sign: str, run: Run, disabled: bool = False, help: str | None = None) -> None:
    st.button(
        label,
        key=f"{what}-{run.id}",
        icon=f":material/{sign}:",
        disabled=disabled,
        help=help,
        on_click=ask,
        args=(f"{what}-{run.id}",),
    )
