"""A finished figure on a page, with its data as CSV below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.files import csv_bytes


def show_figure(
    figure: go.Figure,
    table: pd.DataFrame,
    name: str,
    alt: str,
    on_pick: Callable[[list[Any]], None] | None = None,
    on_range: Callable[[list[list[Any]]], None] | None = None,
) -> None:
    """Draw `figure`; offer `table` as `<name>.csv`.

    What `on_pick` or `on_range` changes may be anywhere on the page, so all of it is drawn again.

    Args:
        name: also the element's key, so one figure of a name a page.
        alt: what the figure shows, for those who do not see it.
        on_pick: called with the customdata of a point that was clicked.
        on_range: called with the customdata of every point in a stretch that was marked, or of one that was clicked.
    """
    key = f"figure-{name}"

    def picked() -> None:
        points = st.session_state[key].selection.points
        if not points:
            return
        if on_pick:
            on_pick(points[0]["customdata"])
        if on_range:
            on_range([point["customdata"] for point in points])

    selectable: dict[str, Any] = {}
    if on_pick or on_range:
        selectable = {"on_select": picked, "selection_mode": ("points", "box") if on_range else "points"}
    st.plotly_chart(figure, theme="streamlit", key=key, alt=alt, config={"displaylogo": False}, **selectable)
    st.download_button(
        "Data as CSV",
        lambda: csv_bytes(table),
        f"{name}.csv",
        "text/csv",
        key=f"csv-{name}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
