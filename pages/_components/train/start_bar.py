"""The foot of the form: what it amounts to, what stands in the way, and the button that starts the run."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import build_config
from core.data.datasets import Dataset
from core.errors import DarkroomError
from core.runs.launch import start_run, would_wait
from core.runs.model_size import model_size
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.asking import ask, asked
from pages._components.config_form import back_to_preset, changes
from pages._components.guard import fragment, guarded, show_error
from pages._components.provenance import leak_line
from pages._components.text import escape
from pages._components.train.planned import Planned

_START = "start-run"


def start_bar(workspace: Workspace, dataset: Dataset, preset: str, values: dict[str, Any]) -> Planned | None:
    """Draw it; returns the run as planned, None where the settings do not amount to one."""
    planned = None
    try:
        planned = _plan(workspace, dataset, preset, values)
    except DarkroomError as error:
        show_error(error)
    if asked(_START) and planned is not None:
        with guarded():
            division = planned.division()
            run = start_run(workspace, planned.config, division.manifest, division.about())
            keys.write(keys.VIEW, None)
            keys.remember(keys.RUN, run.id)
            st.rerun()
    possible = planned is not None and _summary(planned)
    st.button(
        "Start",
        type="primary",
        width="stretch",
        icon=":material/play_arrow:",
        disabled=not possible,
        on_click=ask,
        args=(_START,),
    )
    if planned is not None and (words := would_wait(workspace, planned.config)):
        st.caption(f":material/schedule: Start puts it into the queue, where it waits {escape(words)}.")
    return planned


def list_changes(preset: str, values: dict[str, Any]) -> None:
    """What differs from the preset, and the way back."""
    changed = changes(preset, values)
    if changed:
        listed = "; ".join(f"{path} {before} \N{RIGHTWARDS ARROW} {after}" for path, before, after in changed)
        st.caption(f"Changed from {escape(preset)}: {escape(listed)}")
        st.button("Back to the preset", on_click=back_to_preset, icon=":material/undo:")


def _plan(workspace: Workspace, dataset: Dataset, preset: str, values: dict[str, Any]) -> Planned:
    """Raises `InputError` where settings do not go together or the images cannot be divided so."""
    config = build_config({**values, "data.dataset": dataset.id}, preset)
    classes, leaks = readers.divided(workspace, dataset, config)
    return Planned(workspace, dataset, preset, config, classes, leaks)


def _summary(planned: Planned) -> bool:
    """Draw what the run would amount to; returns whether its network can be built, as far as is known."""
    device = readers.device()
    on_gpu = device.kind == "cuda" and planned.config.runtime.device != "cpu"
    where = f"on the GPU {device.name}" if on_gpu else f"on the CPU, {count(device.num_cores, 'core')}"
    images = ", ".join(f"{count(int(planned.classes[split].sum()))} {split}" for split in ("train", "val", "test"))
    st.caption(f"{images} images, {escape(where)}")
    leak_line(planned.leaks)
    with guarded():  # a count that failed is no reason not to train
        size = model_size(planned.workspace, planned.config, planned.dataset.num_classes)
        fragment(_parameters, run_every=1 if size is None else None)(planned, size is None)
        return size is None or size.parameters > 0
    return True


def _parameters(planned: Planned, counting: bool) -> None:
    size = model_size(planned.workspace, planned.config, planned.dataset.num_classes)
    if size is None:
        st.caption("Counting parameters \N{HORIZONTAL ELLIPSIS}")
        return
    if counting:
        st.rerun()  # to end the redrawing
    if not size.parameters:
        st.error(escape(size.note), icon=":material/error:")
        return
    st.caption(f"{count(size.parameters)} parameters, {count(size.trainable_parameters)} of them trained")
    if size.note and planned.config.model.weights in ("run", "file"):
        st.caption(f":material/input: {escape(size.note)}")
    elif size.note:
        st.warning(escape(size.note), icon=":material/warning:")
