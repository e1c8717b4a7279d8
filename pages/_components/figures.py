"""A finished figure on a page, with its data as CSV below it."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st


def show_figure(figure: go.Figure, table: pd.DataFrame, name: str, alt: str) -> None:
    """Draw `figure`; offer `table` as `<name>.csv`.

    Args:
        name: also the element's key, so one figure of a name a page.
        alt: what the figure shows, for those who do not see it.
    """
    st.plotly_chart(figure, theme="streamlit", key=f"figure-{name}", alt=alt, config={"displaylogo": False})
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
