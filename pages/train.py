"""Train: plan a run on a dataset, start it and watch how it goes."""

from __future__ import annotations

import streamlit as st

from core.data.datasets import Dataset, list_datasets, open_dataset
from core.jobs import ENDED
from core.runs.store import Run, list_runs
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.config_form import draw_form
from pages._components.guard import guarded
from pages._components.labels import dataset_labels, run_labels
from pages._components.run_panel import run_panel
from pages._components.train.another import begin_as_asked
from pages._components.train.plan import draw_plan
from pages._components.train.planned import Planned
from pages._components.train.start_bar import list_changes, start_bar

_FIRST = "train-first-view"


def _form(workspace: Workspace, datasets: list[Dataset]) -> Planned | None:
    """The sidebar: what to train on, how, what that amounts to, and the button that starts it."""
    chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
    with guarded():
        dataset = open_dataset(workspace, chosen)
        preset, values = draw_form(readers.given_splits(dataset))
        list_changes(preset, values)
        with st.container(key="start-bar", gap="xsmall"):
            return start_bar(workspace, dataset, preset, values)
    return None


def _first_view(runs: list[Run]) -> str:
    """What to show where the address does not say: the run it names, or one at work when the page is first opened.

    Later the same in this session, so that what is shown does not change when a run ends.
    """
    if keys.CLONE in st.query_params:
        return keys.PLANNING
    at_work = runs[0].status.state not in ENDED
    remembered = st.session_state.setdefault(_FIRST, keys.WATCHING if at_work else keys.PLANNING)
    return keys.WATCHING if keys.RUN in st.query_params else remembered


def _runs(runs: list[Run]) -> None:
    chosen = keys.choose("Run", [run.id for run in runs], keys.RUN, run_labels(runs))
    run_panel(next(one for one in runs if one.id == chosen))


workspace = Workspace.default()
datasets, runs = list_datasets(workspace), list_runs(workspace)
planned = None
begin_as_asked(workspace)
st.title("How does training go?")
if datasets:
    with st.sidebar:
        planned = _form(workspace, datasets)
else:
    st.info("This page trains a network on a dataset and shows how it learns. There is no dataset yet.")
    st.page_link(keys.OVERVIEW, label="Add a dataset on Overview", icon=":material/create_new_folder:")
view = keys.PLANNING
if runs:
    names = [keys.PLANNING, keys.WATCHING]
    first = _first_view(runs)
    view = st.segmented_control(
        "Show", names, required=True, label_visibility="collapsed", **keys.linked(keys.VIEW, keys.one_of(names), first)
    )
elif datasets:
    st.markdown("No run yet. Choose a dataset and a preset in the sidebar, look at the plan and press Start.")
if view == keys.WATCHING:
    _runs(runs)
elif datasets:
    draw_plan(planned)
