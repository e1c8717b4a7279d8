"""Train: start a run on a dataset and watch how it goes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import TrainConfig, build_config
from core.data.datasets import Dataset, list_datasets, open_dataset
from core.data.splits import divide
from core.errors import DarkroomError
from core.runs.launch import start_run
from core.runs.model_size import model_size
from core.runs.store import list_runs
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.config_form import back_to_preset, changes, draw_form
from pages._components.guard import fragment, guarded, show_error
from pages._components.labels import dataset_labels, run_labels
from pages._components.provenance import leak_line
from pages._components.run_panel import run_panel
from pages._components.text import escape


def _form(workspace: Workspace, datasets: list[Dataset]) -> None:
    """The sidebar: what to train on, how, what that amounts to, and the button that starts it."""
    chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
    preset, values = draw_form()
    _changes(preset, values)
    with st.container(key="start-bar", gap="xsmall"):
        _start(workspace, chosen, preset, values)


def _start(workspace: Workspace, dataset_id: str, preset: str, values: dict[str, Any]) -> None:
    config = None
    try:
        dataset = open_dataset(workspace, dataset_id)
        wanted = build_config({**values, "data.dataset": dataset_id}, preset)
        _summary(workspace, dataset, wanted)
        config = wanted
    except DarkroomError as error:
        show_error(error)
    pressed = st.button("Start", type="primary", width="stretch", icon=":material/play_arrow:", disabled=config is None)
    if pressed and config is not None:
        with guarded():
            division = divide(workspace, config)
            run = start_run(workspace, config, division.manifest, division.about())
            keys.remember(keys.RUN, run.id)
            st.rerun()


def _changes(preset: str, values: dict[str, Any]) -> None:
    changed = changes(preset, values)
    if changed:
        listed = "; ".join(f"{path} {before} \N{RIGHTWARDS ARROW} {after}" for path, before, after in changed)
        st.caption(f"Changed from {escape(preset)}: {escape(listed)}")
        st.button("Back to the preset", on_click=back_to_preset, icon=":material/undo:")


def _summary(workspace: Workspace, dataset: Dataset, config: TrainConfig) -> None:
    """What the run would amount to; raises `InputError` where the images cannot be divided so."""
    table, leaks = readers.divided(workspace, dataset, config.split)
    device = readers.device()
    on_gpu = device.kind == "cuda" and config.runtime.device != "cpu"
    where = f"on the GPU {device.name}" if on_gpu else f"on the CPU, {count(device.num_cores, 'core')}"
    images = ", ".join(f"{count(int(table[split].sum()))} {split}" for split in ("train", "val", "test"))
    st.caption(f"{images} images, {escape(where)}")
    leak_line(leaks)
    with guarded():  # a count that failed is no reason not to train
        counting = model_size(workspace, config, dataset.num_classes) is None
        fragment(_parameters, run_every=1 if counting else None)(workspace, config, dataset.num_classes, counting)


def _parameters(workspace: Workspace, config: TrainConfig, num_classes: int, counting: bool) -> None:
    size = model_size(workspace, config, num_classes)
    if size is None:
        st.caption("Counting parameters \N{HORIZONTAL ELLIPSIS}")
        return
    if counting:
        st.rerun()  # to end the redrawing
    st.caption(f"{count(size.parameters)} parameters, {count(size.trainable_parameters)} of them trained")
    if size.note:
        st.warning(escape(size.note), icon=":material/warning:")


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
    st.markdown("No run yet. Choose a dataset and a preset on the left and press Start; the curves appear here.")
    st.stop()
chosen = keys.choose("Run", [run.id for run in runs], keys.RUN, run_labels(runs))
run = next(one for one in runs if one.id == chosen)
run_panel(run)
