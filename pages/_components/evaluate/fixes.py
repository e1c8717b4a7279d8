"""Corrections made since a run was started: what they are, training with them, and comparing the two."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.data.datasets import Dataset, open_dataset
from core.errors import DarkroomError
from core.evaluation.fixes import Changes, retrain, tag_of
from core.jobs import ENDED
from core.runs.listing import run_table
from core.runs.store import Run
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.asking import ask, asked
from pages._components.guard import fragment, guarded
from pages._components.states import state_text
from pages._components.text import escape

_RETRAIN = "retrain-with-fixes"
_MOST_SHOWN = 3


def draw(run: Run) -> None:
    """What was corrected, the button that trains with it, and the runs it started; nothing where there are none."""
    workspace = Workspace.default()
    try:
        dataset = open_dataset(workspace, run.config.data.dataset)
    except DarkroomError:
        return
    if asked(_RETRAIN):
        with guarded(), st.spinner("Dividing the images as they were"):
            retrain(workspace, run)
            st.rerun()
    changes, started = _changes(run, dataset), _started(workspace, run)
    if not changes.any and started.empty:
        return
    with st.container(border=True, key="fixes", gap="small"):
        if changes.any:
            _offer(changes, dataset.fingerprint in started["dataset_fingerprint"].tolist())
        if not started.empty:
            is_at_work = not started["state"].head(_MOST_SHOWN).isin(ENDED).all()
            fragment(_runs, run_every=2 if is_at_work else None)(workspace, run, is_at_work)


def _offer(changes: Changes, is_done: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/edit_note: Since this run was started: {escape(changes.sentence())}", width="stretch")
        st.button(
            "Retrain with fixes",
            key=_RETRAIN,
            icon=":material/model_training:",
            type="secondary" if is_done else "primary",
            on_click=ask,
            args=(_RETRAIN,),
            help="A new run with the same settings on the images as they are now. Every image stays in the split it "
            "had, so both runs can be compared on the same test images. New images are for training.",
        )


def _runs(workspace: Workspace, run: Run, was_at_work: bool) -> None:
    started = _started(workspace, run).head(_MOST_SHOWN)
    if was_at_work and started["state"].isin(ENDED).all():
        st.rerun()
    for row in started.itertuples():
        with st.container(horizontal=True, vertical_alignment="center", key=f"fixed-{row.id}"):
            st.markdown(f"{state_text(row.state)} {escape(row.name or row.id)}", width="content")
            query = {keys.RUN: row.id}
            if pd.notna(row.test_accuracy):
                both = {keys.COMPARED: f"{run.id},{row.id}"}
                st.page_link(keys.COMPARE, label="Compare with this run", icon=":material/compare:", query_params=both)
                st.page_link(keys.EVALUATE, label="Its evaluation", icon=":material/monitoring:", query_params=query)
            st.page_link(keys.TRAIN, label="Its training", icon=":material/show_chart:", query_params=query)


def _started(workspace: Workspace, run: Run) -> pd.DataFrame:
    """The runs that were started here, newest first."""
    table, tag = run_table(workspace), tag_of(run)
    return table[[tag in tags for tags in table["tags"]]]


def _changes(run: Run, dataset: Dataset) -> Changes:
    if run.data().get("dataset_fingerprint") == dataset.fingerprint:
        return Changes()
    return readers.changes(run, dataset)
