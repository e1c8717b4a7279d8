"""Evaluate's view of how each class fares."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.charts_evaluation import per_class_chart
from core.runs.store import Run
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure


def draw(run: Run, report: Report) -> None:
    """Precision, recall and F1 of each class, as a figure and as a table to sort."""
    table = pd.DataFrame(report["per_class"])
    show_figure(per_class_chart(table), table, "per-class", "Precision, recall and F1 of each class")
    share = {name: table[name] * 100 for name in ("precision", "recall", "f1")}
    st.dataframe(
        table.assign(**share),
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Class"),
            **{
                name: st.column_config.NumberColumn(title, format="%.1f %%", help=help)
                for name, title, help in (
                    ("precision", "Precision", "Of the images answered with this class, how many belong to it."),
                    ("recall", "Recall", "Of this class's images, how many were answered with it."),
                    ("f1", "F1", "Harmonic mean of precision and recall."),
                )
            },
            "support": st.column_config.NumberColumn("Test images", format="localized"),
        },
    )
