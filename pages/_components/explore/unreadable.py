"""Files that could not be read and entries that were refused, and why."""

from __future__ import annotations

import streamlit as st

from core.data import summary
from core.data.datasets import Dataset
from core.data.intake import read_refused
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers

ROWS_A_PAGE = 100
UNREADABLE_COLUMNS = {"path": "File", "error": "Reason"}  # how the columns of `summary.unreadable` are headed


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """Both lists, a page at a time."""
    refused, num_refused = read_refused(dataset.folder)
    _unreadable(dataset, bool(num_refused))
    if num_refused:
        _refused(refused, num_refused)


def _unreadable(dataset: Dataset, others_refused: bool) -> None:
    rows = readers.counted(dataset, readers.ALL, "unreadable", lambda rows, _: summary.unreadable(rows))
    if rows.empty:
        taken = " that were taken in" if others_refused else ""
        st.success(
            f"None: all {count(dataset.num_images, 'image')}{taken} could be decoded.", icon=":material/check_circle:"
        )
        return
    st.markdown("These files stay in the list but are used for nothing. Replace them and add the folder again.")
    page = keys.page_of(len(rows), ROWS_A_PAGE, keys.PAGE)
    shown = rows.iloc[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]
    st.dataframe(shown, hide_index=True, column_config=UNREADABLE_COLUMNS)


def _refused(named: list[tuple[str, str]], total: int) -> None:
    st.subheader("Refused", anchor=False)
    st.markdown(
        f"{count(total, 'entry', 'entries')} of the archive or table {'was' if total == 1 else 'were'} not taken in at "
        "all, so no count on this page holds them."
    )
    page = keys.page_of(len(named), ROWS_A_PAGE, keys.REFUSED_PAGE)
    shown = named[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]
    st.dataframe({"Name": [name for name, _ in shown], "Reason": [why for _, why in shown]}, hide_index=True)
    if total > len(named):
        st.caption(f"The first {count(len(named))} are named.")
