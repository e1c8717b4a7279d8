"""Runs: which runs are there, and what became of them?"""

from __future__ import annotations

import streamlit as st

from core.data.datasets import list_datasets
from core.jobs import ENDED
from core.runs.listing import run_table
from core.runs.store import Run, list_runs
from core.workspace import Workspace
from pages._components import keys
from pages._components.guard import fragment
from pages._components.runs.actions import draw_trash
from pages._components.runs.filters import draw_filters
from pages._components.runs.listed import draw_list
from pages._components.runs.machine_panel import draw_disk, draw_machine
from pages._components.runs.one import back_to_list, draw_run
from pages._components.runs.queue import draw_queue

LIVELY_S, CALM_S = 2, 5  # between two looks while something is at work, and else: other tabs start and delete runs too


def _chosen(workspace: Workspace) -> Run | None:
    """The run that the address names."""
    asked = st.query_params.get(keys.RUN)
    if asked is None:
        return None
    found = next((run for run in list_runs(workspace) if run.id == asked), None)
    if found is None:
        st.warning("There is no run with the id of this address: it was deleted.", icon=":material/help:")
        st.button("All runs", icon=":material/arrow_back:", on_click=back_to_list)
        draw_trash(workspace)
    return found


def _machine(workspace: Workspace) -> None:
    draw_machine(workspace, run_table(workspace))


def _all(workspace: Workspace) -> None:
    table = run_table(workspace)
    if table.empty:
        st.info("This page lists the runs, what they wait for and what came of them. There is none yet.")
        st.page_link(keys.TRAIN, label="Start the first run", icon=":material/model_training:")
    every = LIVELY_S if not set(table["state"]) <= ENDED else CALM_S
    fragment(draw_queue, run_every=every)(workspace)
    with st.expander("Machine and disk", icon=":material/memory:", key="machine"):
        fragment(_machine, run_every=LIVELY_S)(workspace)
        fragment(draw_disk)(workspace)
    if table.empty:
        draw_trash(workspace)
        return
    names = {dataset.id: dataset.name for dataset in list_datasets(workspace)}
    filters = draw_filters(table, names)
    fragment(draw_list, run_every=every)(workspace, filters, names)


workspace = Workspace.default()
st.title("Which runs are there, and what became of them?")
if keys.RUN in st.query_params:
    if run := _chosen(workspace):
        draw_run(workspace, run)
else:
    _all(workspace)
