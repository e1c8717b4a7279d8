"""Sweeps: which settings are best? Many runs, each with other values, and what became of them."""

from __future__ import annotations

import streamlit as st

from core.data.datasets import list_datasets
from core.sweeps.store import list_sweeps
from core.workspace import Workspace
from pages._components import keys
from pages._components.sweeps.panel import sweep_panel
from pages._components.sweeps.setup import draw_setup
from pages._components.sweeps.start_bar import start_bar

workspace = Workspace.default()
datasets, sweeps = list_datasets(workspace), list_sweeps(workspace)
st.title("Which settings are best?")
view = keys.SETTING_UP
if sweeps:
    names = [keys.SETTING_UP, keys.RESULTS]
    first = keys.RESULTS if keys.SWEEP in st.query_params or sweeps[0].num_at_work else keys.SETTING_UP
    view = st.segmented_control(
        "Show", names, required=True, label_visibility="collapsed", **keys.linked(keys.VIEW, keys.one_of(names), first)
    )
if view == keys.RESULTS:
    with st.sidebar:
        chosen = keys.choose("Sweep", [one.id for one in sweeps], keys.SWEEP)
    sweep_panel(workspace, next(one for one in sweeps if one.id == chosen))
elif datasets:
    start_bar(workspace, draw_setup(workspace, datasets))
else:
    st.info("This page tries many settings on a dataset and shows which did best. There is no dataset yet.")
    st.page_link(keys.OVERVIEW, label="Add a dataset on Overview", icon=":material/create_new_folder:")
