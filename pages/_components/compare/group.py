"""A group of runs started together: which one to show, how far it is, and what the rest will take."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.runs.series import Kind, Series, all_series, still_to_come
from core.wording import count, duration, percent_interval
from pages._components import keys
from pages._components.states import state_text
from pages._components.text import escape

FOLLOW_S = 3.0  # seconds between looks at a group that is at work


def choose_group(table: pd.DataFrame, kind: Kind, run_id: str) -> Series | None:
    """The group of this run to show: the address says, else the newest; draws a choice where there are several."""
    found = all_series(table, kind, run_id)
    if not found:
        return None
    ids = [series.id for series in found]
    if len(found) == 1:
        return found[0]
    chosen = st.selectbox(
        "Group", ids, help="This run was repeated more than once.", **keys.linked(keys.SERIES, keys.one_of(ids), ids[0])
    )
    return found[ids.index(chosen)]


def progress_line(rows: pd.DataFrame) -> None:
    """How many of the group are still to come, and which went wrong."""
    left = still_to_come(rows)
    if left:
        st.progress(1 - left / len(rows), text=f"{count(len(rows) - left)} of {count(len(rows), 'run')} ended")
    for row in rows[rows["state"].isin(["failed", "lost"])].itertuples():
        st.markdown(f"{state_text(row.state)} {escape(row.id)}: {escape(row.message)}")


def member_table(rows: pd.DataFrame, first: pd.DataFrame) -> None:
    """A row a run.

    Args:
        rows: of `core.runs.series.members`.
        first: what stands before the figures all groups show.
    """
    figures = pd.DataFrame(
        {
            "State": rows["state"],
            "Test accuracy, 95 % interval": [
                percent_interval(value, low, high)
                for value, low, high in zip(
                    rows["test_accuracy"], rows["test_accuracy_low"], rows["test_accuracy_high"], strict=True
                )
            ],
            "Time": [duration(seconds) for seconds in rows["seconds"]],
            "Run": rows["id"],
        }
    )
    st.dataframe(pd.concat([first, figures], axis=1), hide_index=True, key="group-members")
    if len(rows) > 1:
        some = ",".join(rows["id"].head(10))
        st.page_link(
            keys.COMPARE,
            label="Compare them as runs",
            icon=":material/compare_arrows:",
            query_params={keys.COMPARED: some},
        )


def about_time(seconds: float, times: float) -> str:
    """`About 2 min 10 s in all ...`, from what one run took; empty where that is not known."""
    return "" if pd.isna(seconds) else f"About {duration(seconds * times)} in all, one after the other."
