"""Train: start a run on a dataset and watch how it goes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import TrainConfig, build_config
from core.data.datasets import Dataset, list_datasets, open_dataset
from core.data.splits import split_dataset
from core.errors import InputError
from core.runs.launch import start_run
from core.runs.model_size import model_size
from core.runs.store import Run, list_runs
from core.workspace import Workspace
from core.wording import count
from pages._components import keys, readers
from pages._components.config_form import back_to_preset, changes, draw_form
from pages._components.guard import guarded, show_error
from pages._components.labels import dataset_labels, run_labels
from pages._components.run_panel import run_panel
from pages._components.text import escape


def _form(workspace: Workspace, datasets: list[Dataset]) -> None:
    """The sidebar: what to train on, how, what that amounts to, and the button that starts it."""
    chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
    preset, values = draw_form()
    _changes(preset, values)
    st.divider()
    config, ready = None, False
    try:
        dataset = open_dataset(workspace, chosen)
        config = build_config({"data.dataset": chosen, **values}, preset)
        _summary(workspace, dataset, config)
        ready = True
    except InputError as error:
        show_error(error)
    if st.button("Start", type="primary", width="stretch", icon=":material/play_arrow:", disabled=not ready):
        with guarded():
            assert config is not None
            run = start_run(workspace, config, split_dataset(workspace, config))
            keys.remember(keys.RUN, run.id)
            st.rerun()


def _changes(preset: str, values: dict[str, Any]) -> None:
    changed = changes(preset, values)
    if changed:
        listed = "; ".join(f"{path} {before} \N{RIGHTWARDS ARROW} {after}" for path, before, after in changed)
        st.caption(f"Changed from {escape(preset)}: {escape(listed)}")
        st.button("Back to the preset", on_click=back_to_preset, icon=":material/undo:")


def _summary(workspace: Workspace, dataset: Dataset, config: TrainConfig) -> None:
    sizes = readers.split_sizes(workspace, dataset, config.split)
    device = readers.device()
    st.markdown(f"{count(sizes['train'])} train, {count(sizes['val'])} val, {count(sizes['test'])} test images")
    on_gpu = device.kind == "cuda" and config.runtime.device != "cpu"
    st.markdown(f"On the GPU {escape(device.name)}" if on_gpu else f"On the CPU, {count(device.num_cores, 'core')}")
    with st.container():
        counted = model_size(workspace, config, dataset.num_classes) is not None
        st.fragment(_parameters, run_every=None if counted else 1)(workspace, config, dataset.num_classes, counted)


def _parameters(workspace: Workspace, config: TrainConfig, num_classes: int, counted: bool) -> None:
    size = model_size(workspace, config, num_classes)
    if size is None:
        st.markdown("Counting parameters \N{HORIZONTAL ELLIPSIS}")
        return
    if not counted:
        st.rerun()
    st.markdown(f"{count(size.parameters)} parameters, {count(size.trainable_parameters)} of them trained")
    if size.note:
        st.warning(escape(size.note), icon=":material/warning:")


def _answer(run: Run | None) -> str:
    if run is None:
        return "No run yet. Choose a dataset and a preset on the left and press Start; the curves appear here."
    status = run.status
    return {
        "queued": "It is about to start.",
        "running": f"It is at work: {status.phase or 'starting'}.",
        "stopping": "It is stopping; the best weights so far are kept.",
        "stopped": "It was stopped; the best weights so far are kept, and it can be resumed.",
        "finished": "It finished and was evaluated on images it had never seen.",
        "failed": "It failed. What happened is below; other runs are unaffected.",
        "lost": "Its process is gone without a word. What it last wrote is below, and it can be resumed.",
    }[status.state]


workspace = Workspace.default()
datasets, runs = list_datasets(workspace), list_runs(workspace)
st.title("How does training go?")
if datasets:
    with st.sidebar:
        _form(workspace, datasets)
else:
    st.info("This page trains a network on a dataset and shows how it learns. There is no dataset yet.")
    st.page_link(keys.OVERVIEW, label="Add a dataset on Overview", icon=":material/create_new_folder:")
if not runs:
    st.markdown(_answer(None))
    st.stop()
answer = st.empty()
chosen = keys.choose("Run", [run.id for run in runs], keys.RUN, run_labels(runs))
run = next(one for one in runs if one.id == chosen)
answer.markdown(escape(_answer(run)))
run_panel(run)
