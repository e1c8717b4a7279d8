"""A finished figure on a page, with its data as CSV below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st


def show_figure(
    figure: go.Figure, table: pd.DataFrame, name: str, alt: str, on_pick: Callable[[list[Any]], None] | None = None
) -> None:
    """Draw `figure`; offer `table` as `<name>.csv`.

    Args:
        name: also the element's key, so one figure of a name a page.
        alt: what the figure shows, for those who do not see it.
        on_pick: called with the customdata of a point that was clicked.
    """
    key = f"figure-{name}"

    def picked() -> None:
        points = st.session_state[key].selection.points
        if points and on_pick:
            on_pick(points[0]["customdata"])

    selectable: dict[str, Any] = {"on_select": picked, "selection_mode": "points"} if on_pick else {}
    st.plotly_chart(figure, theme="streamlit", key=key, alt=alt, config={"displaylogo": False}, **selectable)
    st.download_button(
        "Data as CSV",
        lambda: table.to_csv(index=False).encode("utf-8-sig"),  # the mark lets spreadsheets read class names
        f"{name}.csv",
        "text/csv",
        key=f"csv-{name}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
