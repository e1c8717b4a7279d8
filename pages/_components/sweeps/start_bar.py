"""The foot of the form: what stands in the way of the sweep, and the button that starts it."""

from __future__ import annotations

import streamlit as st

from core.data.splits import divide
from core.errors import DarkroomError
from core.files import slug
from core.sweeps.launch import start_worker
from core.sweeps.spec import Budget, SweepSpec, make_budget, make_spec
from core.sweeps.store import SPEC, create_sweep
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import guarded, show_error
from pages._components.sweeps.setup import Setup
from pages._components.text import escape

_START = "start-sweep"


def start_bar(workspace: Workspace, setup: Setup) -> None:
    """Draw it in the sidebar, and start the sweep when the button was pressed."""
    question = None
    with st.sidebar, st.container(key="start-bar", gap="xsmall"):
        try:
            question = _question(setup)
        except DarkroomError as error:
            show_error(error)
        taken = (workspace.sweep(slug(setup.name)) / SPEC).is_file()
        if asked(_START) and question is not None and not taken:
            with guarded():
                _start(workspace, setup, *question)
        if taken:
            st.warning(f"There is a sweep {escape(slug(setup.name))} already. Give this one another name.")
        st.button(
            "Start the sweep",
            type="primary",
            width="stretch",
            icon=":material/play_arrow:",
            disabled=question is None or taken,
            on_click=ask,
            args=(_START,),
        )
    if question is not None and question[0].start is None:
        st.caption(
            ":material/info: The settings it starts from are outside of what is searched, so they will not be tried "
            "and nothing is compared with them."
        )


def _question(setup: Setup) -> tuple[SweepSpec, Budget]:
    """Raises `InputError` where it cannot be asked so."""
    spec = make_spec(setup.config, setup.dataset.fingerprint, setup.space, **setup.rules)
    return spec, make_budget(spec, **setup.budget)


def _start(workspace: Workspace, setup: Setup, spec: SweepSpec, budget: Budget) -> None:
    division = divide(workspace, setup.config)
    sweep = create_sweep(workspace, setup.name, spec, budget, division.manifest, division.about())
    start_worker(sweep)
    keys.write(keys.VIEW, keys.RESULTS)
    keys.remember(keys.SWEEP, sweep.id)
    st.rerun()
