"""What was set differently: only the settings in which the runs differ."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.config import knobs
from core.evaluation.comparison import setting_differences
from pages._components.compare.chosen import Chosen


def draw(chosen: Sequence[Chosen]) -> None:
    """A row a setting, a column a run."""
    paths = ["dataset_fingerprint", *(knob.path for knob in knobs())]
    table = setting_differences({one.name: {path: one.row[path] for path in paths} for one in chosen})
    if table.empty:
        st.markdown("The settings are the same in all of them, and so is the version of the dataset.")
        return
    table["setting"] = table["setting"].replace({"dataset_fingerprint": "version of the dataset"})
    st.dataframe(
        table.astype(str),
        hide_index=True,
        key="compared-settings",
        column_config={"setting": st.column_config.TextColumn("Setting")},
    )
    st.caption("All other settings are the same.")
