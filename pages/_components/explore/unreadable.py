"""Files that could not be read, and why."""

from __future__ import annotations

import streamlit as st

from core.data import summary
from core.data.datasets import Dataset
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers

ROWS_A_PAGE = 100


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The list, a page at a time."""
    rows = readers.counted(dataset, readers.ALL, "unreadable", lambda rows, _: summary.unreadable(rows))
    if rows.empty:
        st.success(f"None: all {count(dataset.num_images, 'image')} could be decoded.", icon=":material/check_circle:")
        return
    st.markdown("These files stay in the list but are used for nothing. Replace them and add the folder again.")
    page = keys.page_of(len(rows), ROWS_A_PAGE, keys.PAGE)
    st.dataframe(rows.iloc[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE], hide_index=True)
