"""Overview: what is in this workspace, and where to go next?"""

from __future__ import annotations

import streamlit as st

from core.data.datasets import Dataset, damaged_datasets, list_datasets
from core.runs.store import Run, list_runs, summary
from core.wording import bytes_size, count, percent
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.add_dataset import add_dataset
from pages._components.labels import dataset_sentence, started
from pages._components.states import state_badge
from pages._components.text import escape

ROWS = 10  # datasets or runs at a time


def _next_step(datasets: list[Dataset], runs: list[Run]) -> None:
    """One suggestion, the step that comes first in what has not been done yet."""
    at_work = next((run for run in runs if not run.status.ended), None)
    finished = next((run for run in runs if readers.was_evaluated(run)), None)
    if at_work:
        st.page_link(
            keys.TRAIN,
            label="Follow the run at work",
            icon=":material/monitoring:",
            query_params={keys.RUN: at_work.id},
        )
    elif finished:
        query = {keys.RUN: finished.id}
        sign = ":material/fact_check:"
        st.page_link(keys.EVALUATE, label="See how good the latest model is", icon=sign, query_params=query)
        sign = ":material/image_search:"
        st.page_link(keys.CLASSIFY, label="Classify images of your own with it", icon=sign, query_params=query)
    elif datasets:
        label = f"Look at the images of {escape(datasets[0].name)}"
        st.page_link(
            keys.EXPLORE, label=label, icon=":material/photo_library:", query_params={keys.DATASET: datasets[0].id}
        )
        st.page_link(
            keys.TRAIN, label="Train a first model; Digits takes about a minute", icon=":material/model_training:"
        )
    else:
        st.write("Add a folder of images below to begin.")


def _dataset_row(dataset: Dataset) -> None:
    name, facts = st.container(border=True).columns([1, 3], vertical_alignment="center")
    name.page_link(
        keys.EXPLORE,
        label=f"**{escape(dataset.name)}**",
        icon=":material/photo_library:",
        query_params={keys.DATASET: dataset.id},
    )
    with facts.container(gap=None):
        st.markdown(escape(dataset_sentence(dataset)))
        st.caption(escape(dataset.root))
        if not dataset.root.is_dir():
            st.warning("Its folder is gone or was renamed; put it back to train on it.", icon=":material/folder_off:")


def _run_row(run: Run, names: dict[str, str]) -> None:
    row = summary(run)
    state, what, result, links = st.container(border=True).columns([1, 3, 1, 2], vertical_alignment="center")
    with state:
        state_badge(row["state"])
    dataset = names.get(row["dataset"], row["dataset"] or "unknown dataset")
    with what.container(gap=None):
        st.markdown(f"{escape(dataset)}, {escape(row['architecture'] or 'unknown network')}, {started(run)}")
        st.caption(escape(run.id if row["state"] == "finished" and row["dataset"] else row["message"] or run.id))
    if row["test_accuracy"] is not None:
        result.markdown(f"{percent(row['test_accuracy'])} on test")
    with links.container(horizontal=True):
        query = {keys.RUN: run.id}
        st.page_link(keys.TRAIN, label="Training", icon=":material/model_training:", query_params=query)
        if row["test_accuracy"] is not None:
            st.page_link(keys.EVALUATE, label="Evaluation", icon=":material/fact_check:", query_params=query)


def _shown(num_rows: int, key: str) -> slice:
    page = keys.page_of(num_rows, ROWS, key)
    return slice((page - 1) * ROWS, page * ROWS)


workspace = Workspace.default()
datasets, runs = list_datasets(workspace), list_runs(workspace)
device = readers.device()

st.title("What is in this workspace?")
for problem in damaged_datasets(workspace):
    st.warning(escape(problem), icon=":material/warning:")
memory = f"{bytes_size(device.memory_bytes)} of memory"
where = (
    f"the GPU {device.name} with {memory}"
    if device.kind == "cuda"
    else f"the CPU: {count(device.num_cores, 'core')}, {memory}"
)
st.markdown(
    f"{count(len(datasets), 'dataset')} with {count(sum(one.num_images for one in datasets), 'image')} and "
    f"{count(len(runs), 'run')}. Training will use {escape(where)}."
)
with st.container(horizontal=True, key="next-step"):
    _next_step(datasets, runs)

st.header("Datasets")
if not datasets:
    st.info("None yet. A dataset is a folder of images, each with a class; add one below.")
for dataset in datasets[_shown(len(datasets), "datasets-page")]:
    _dataset_row(dataset)
# Open while one is being added, and after that was left off, so that another can be chosen at once.
adding = keys.PENDING in st.query_params or not datasets or keys.ADDING in st.session_state
with st.expander("Add a dataset", icon=":material/create_new_folder:", expanded=adding):
    add_dataset(workspace)

st.header("Runs")
if not runs:
    st.info("None yet. A run trains a network on a dataset and evaluates it on images it has never seen.")
    st.page_link(keys.TRAIN, label="Start the first run", icon=":material/model_training:")
names = {one.id: one.name for one in datasets}
for run in runs[_shown(len(runs), "runs-page")]:
    _run_row(run, names)
