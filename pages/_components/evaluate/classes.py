"""Evaluate's view of how each class fares."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.charts_evaluation import per_class_chart
from core.runs.store import Run
from core.wording import interval
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure

MEASURES = (
    ("precision", "Precision", "Of the images answered with this class, how many belong to it."),
    ("recall", "Recall", "Of this class's images, how many were answered with it."),
    ("f1", "F1", "Harmonic mean of precision and recall."),
    ("auc", "ROC area", "How often an image of the class scores above one of another class: 50 % is chance."),
    ("average_precision", "Average precision", "The area below the precision-recall curve."),
)


def draw(run: Run, report: Report) -> None:
    """Precision, recall and F1 of each class, as a figure and as a table to sort."""
    table = pd.DataFrame(report["per_class"])
    show_figure(per_class_chart(table), table, "per-class", "Precision, recall and F1 of each class")
    measured = [name for name, _, _ in MEASURES if name in table]
    shown = table[["label", *measured, "support"]].assign(**{name: 100 * table[name] for name in measured})
    for name in measured:
        if f"{name}_low" in table:
            ends = table[[f"{name}_low", f"{name}_high"]].itertuples(index=False)
            at = shown.columns.get_loc(name) + 1
            shown.insert(at, f"{name}_interval", [interval(low, high) for low, high in ends])
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Class", pinned=True),
            **{
                name: st.column_config.NumberColumn(title, format="%.1f %%", help=help)
                for name, title, help in MEASURES
            },
            **{
                f"{name}_interval": st.column_config.TextColumn("95 %", help=f"95 % interval of {title}, in percent.")
                for name, title, _ in MEASURES
            },
            "support": st.column_config.NumberColumn("Test images", format="localized"),
        },
    )
    st.caption("A click on a column's name sorts by it. The fewer test images of a class, the wider its intervals.")
