"""Compare: which run is better, is it chance, and would more images help?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.runs.listing import run_table
from core.workspace import Workspace
from pages._components import keys
from pages._components.compare import answers, curves, learning, pair, seeds, settings
from pages._components.compare.chosen import Chosen, choose_runs, run_titles
from pages._components.text import escape

RUNS, SEEDS, LEARNING = "Runs", "Seeds", "Learning curve"
VIEWS = (RUNS, SEEDS, LEARNING)
PARTS: dict[str, Callable[[Sequence[Chosen]], None]] = {
    "Accuracy": answers.draw,
    "Curves": curves.draw,
    "Settings": settings.draw,
    "Classes": pair.draw_classes,
    "Flipped images": pair.draw_flips,
}


def _runs(workspace: Workspace, table: pd.DataFrame) -> None:
    with st.sidebar:
        chosen = choose_runs(workspace, table)
        if len(chosen) > 2:
            _choose_reference(chosen)
    if len(chosen) < 2:
        st.info("This page compares two to ten runs. Choose them in the sidebar.")
        return
    st.markdown(escape(answers.headline(chosen)))
    names = list(PARTS)
    part = st.segmented_control("Show", names, required=True, **keys.linked(keys.PART, keys.one_of(names), names[0]))
    PARTS[part](chosen)


def _choose_reference(chosen: Sequence[Chosen]) -> None:
    by_id = {one.run.id: one.name for one in chosen}
    st.selectbox(
        "Compared with",
        list(by_id),
        format_func=by_id.__getitem__,
        help="The run that all others are measured against.",
        **keys.linked(keys.AGAINST, keys.one_of(list(by_id)), chosen[0].run.id),
    )


def _one_run(table: pd.DataFrame) -> str:
    with st.sidebar:
        listed = table.loc[table["test_accuracy"].notna() & ~table["archived"], "id"].tolist()
        asked = st.query_params.get(keys.RUN)
        ids = listed if asked in listed or asked not in set(table["id"]) else [asked, *listed]
        return keys.choose("Run", ids or table["id"].tolist(), keys.RUN, run_titles(table))


st.title("Which run is better?")
workspace = Workspace.default()
table = run_table(workspace)
if table.empty:
    st.info("This page compares runs: is one better than another, or is it chance? There is no run yet.")
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
view = st.segmented_control(
    "View", VIEWS, required=True, label_visibility="collapsed", **keys.linked(keys.VIEW, keys.one_of(VIEWS), RUNS)
)
if view == RUNS:
    _runs(workspace, table)
elif view == SEEDS:
    seeds.draw(workspace, table, _one_run(table))
else:
    learning.draw(workspace, table, _one_run(table))
