"""How the images are divided into train, val and test, before a run does it, and whether that leaks."""

from __future__ import annotations

import streamlit as st

from core.config import TrainConfig, build_config
from core.data.datasets import Dataset
from core.data.splits import SET_ASIDE, SPLITS, divide, membership
from core.files import csv_bytes
from core.wording import count
from core.workspace import Workspace
from pages._components import readers
from pages._components.config_form import draw_group
from pages._components.guard import fragment, guarded
from pages._components.provenance import leak_line

_TITLES = {"train": "Training", "val": "Validation", "test": "Test", SET_ASIDE: "Set aside"}


@fragment
def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The settings, which are those of Train's form, and what they amount to."""
    left, right = st.columns([1, 2], gap="large")
    with left:
        values = draw_group("split")
        st.caption("The next run started on Train is divided by these settings.")
    with right, guarded():
        config = build_config({**values, "data.dataset": dataset.id})
        _preview(workspace, dataset, config)


def _preview(workspace: Workspace, dataset: Dataset, config: TrainConfig) -> None:
    table, leaks = readers.divided(workspace, dataset, config)
    shown = [name for name in (*SPLITS, SET_ASIDE) if table[name].any() or name != SET_ASIDE]
    with st.container(horizontal=True, key="split-sizes"):
        for name in shown:
            st.metric(_TITLES[name], count(int(table[name].sum()), "image"), width="content")
    leak_line(leaks)
    st.caption("The test images are sealed: they are classified once at the end and choose nothing.")
    st.dataframe(
        table[["label", *shown]],
        hide_index=True,
        column_config={"label": st.column_config.TextColumn("Class")}
        | {name: st.column_config.NumberColumn(_TITLES[name], format="localized") for name in shown},
    )
    st.download_button(
        "Which image is where, as CSV",
        lambda: csv_bytes(membership(divide(workspace, config).manifest, config.split)),
        f"{dataset.id}-split.csv",
        "text/csv",
        key="split-csv",
        on_click="ignore",
        icon=":material/download:",
    )
