"""The question of a new sweep: on which images, from which settings, which of them to search, by which rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.config import PRESETS, TrainConfig, build_config, flatten
from core.data.datasets import Dataset, open_dataset
from core.errors import InputError
from core.runs.store import list_runs, open_run
from core.sweeps.space import Dimension, grid_size, searchable
from core.sweeps.spec import IN_WORDS, METRICS, MOST_AT_ONCE, PRUNERS, SAMPLERS
from core.sweeps.store import free_name
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.labels import dataset_labels, run_labels
from pages._components.sweeps.dimensions import draw_dimension
from pages._components.train.idle import why_idle

_RUN = "run "  # begins the choice to start from a run's settings
_MOST_RUNS = 50
_FIRST_CHOICE = ("optim.learning_rate", "optim.weight_decay", "model.dropout")
_SAMPLERS = {
    "tpe": "TPE: near what did well",
    "random": "Random: anywhere",
    "grid": "Grid: every combination",
}
_PRUNERS = {
    "median": "Median: worse than half",
    "hyperband": "Hyperband: few epochs for many",
    "none": "None: all to the end",
}
assert (*_SAMPLERS,) == SAMPLERS and (*_PRUNERS,) == PRUNERS


@dataclass(frozen=True)
class Setup:
    """What the form says at present; None of `config` where that is not a run one could train."""

    dataset: Dataset
    config: TrainConfig
    space: dict[str, Dimension]
    rules: dict[str, Any]
    budget: dict[str, Any]
    name: str


def draw_setup(workspace: Workspace, datasets: list[Dataset]) -> Setup:
    """Draw the form; raises `DarkroomError` where what it says cannot be used."""
    with st.sidebar:
        chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
        dataset = open_dataset(workspace, chosen)
        origin, values = _base(workspace)
        rules, budget = _rules(), _budget()
    config = build_config({**values, "data.dataset": dataset.id})
    space = _space(origin, values)
    with st.sidebar:
        suggested = free_name(workspace, f"{dataset.id}-{origin.removeprefix(_RUN)}")
        name = st.text_input(
            "Name",
            value=suggested,
            key=f"sweep-name-{suggested}",
            persist_state="session",
            max_chars=40,
            help="What to call the sweep. Its runs have the tag sweep:NAME.",
        )
    if rules["sampler"] == "grid" and space:
        st.caption(f"The grid has {count(grid_size(space), 'combination')}.")
    return Setup(dataset, config, space, rules, budget, name)


def _base(workspace: Workspace) -> tuple[str, dict[str, Any]]:
    """What the search starts from: the choice, and `{"group.field": value}` of all settings but the dataset."""
    runs = list_runs(workspace)[:_MOST_RUNS]
    labels = run_labels(runs)
    options = [*PRESETS, *(_RUN + run.id for run in runs)]

    def show(option: str) -> str:
        return f"Run of {labels(option.removeprefix(_RUN))}" if option.startswith(_RUN) else f"Preset {option}"

    origin = st.selectbox(
        "Start from",
        options,
        format_func=show,
        key="sweep-base",
        persist_state="session",
        help="All settings that are not searched stay as they are here. The first trial has the others as here too.",
    )
    if origin.startswith(_RUN):
        values = flatten(open_run(workspace, origin.removeprefix(_RUN)).config)
    else:
        values = flatten(build_config({}, origin))
    values = {path: value for path, value in values.items() if path != "data.dataset"}
    values["optim.epochs"] = st.number_input(
        "Epochs of a trial",
        min_value=1,
        max_value=1000,
        value=values["optim.epochs"],
        key=f"sweep-epochs-{origin}",
        persist_state="session",
        help="Fewer make the search quicker; the best settings can be trained for longer afterwards.",
    )
    return origin, values


def _rules() -> dict[str, Any]:
    sampler = st.selectbox(
        "Values are drawn by",
        list(_SAMPLERS),
        format_func=_SAMPLERS.get,
        key="sweep-sampler",
        persist_state="session",
        help="TPE draws ten trials at random and then near those that did well. A grid tries every combination.",
    )
    pruner = st.selectbox(
        "Trials are ended early by",
        list(_PRUNERS),
        format_func=_PRUNERS.get,
        key="sweep-pruner",
        persist_state="session",
        help="Median ends a trial that is worse than half of the earlier ones at the same epoch, once four have "
        "finished. Hyperband gives many trials a few epochs and a few trials many.",
    )
    metric = st.selectbox(
        "A trial is good by its",
        METRICS,
        format_func=lambda metric: IN_WORDS[metric].capitalize(),
        key="sweep-metric",
        persist_state="session",
        help="Of its best epoch, whose weights are kept. The test images are left for the end.",
    )
    return {"sampler": sampler, "pruner": pruner, "metric": metric}


def _budget() -> dict[str, Any]:
    how: dict[str, Any] = {"persist_state": "session"}
    left, right = st.columns(2)
    trials = left.number_input(
        "Trials", 0, 100_000, 20, key="sweep-trials", help="Runs in all. 0: as many as the time allows.", **how
    )
    minutes = right.number_input(
        "Minutes", 0, 100_000, 0, key="sweep-minutes", help="No trial begins after so long. 0: no limit.", **how
    )
    at_once = st.number_input(
        "Trials at once",
        1,
        MOST_AT_ONCE,
        1,
        key="sweep-at-once",
        help="How many are under way together. Each waits for its turn on the device like any other run.",
        **how,
    )
    return {"trials": int(trials), "minutes": float(minutes), "at_once": int(at_once)}


def _space(origin: str, values: dict[str, Any]) -> dict[str, Dimension]:
    """Which settings are searched, and between which values."""
    known = {knob.path: knob for knob in searchable() if not why_idle(knob.path, values)}
    chosen = st.multiselect(
        "Settings to search",
        list(known),
        default=[path for path in _FIRST_CHOICE if path in known],
        format_func=lambda path: f"{known[path].label} ({known[path].group})",
        key=f"sweep-fields-{origin}",
        persist_state="session",
        help="Those without effect under the settings it starts from are not listed.",
    )
    if not chosen:
        st.info("Choose at least one setting to search.")
    space, problems = {}, []
    for path in chosen:
        try:
            space[path] = draw_dimension(known[path], values[path], origin)
        except InputError as error:
            problems.append(error.message)
    if problems:
        raise InputError("; ".join(problems))
    return space
