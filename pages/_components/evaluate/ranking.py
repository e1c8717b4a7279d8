"""Evaluate's view of ROC and precision-recall curves, each class against the rest."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.charts_evaluation import curves_chart
from core.runs.store import Run
from core.wording import interval
from pages._components import readers
from pages._components.evaluate.view import Report, evaluate_again
from pages._components.figures import show_figure
from pages._components.guard import fragment

MOST_DRAWN, FIRST_DRAWN = 7, 5
KINDS = {"ROC": "roc", "Precision and recall": "pr"}


@fragment
def draw(run: Run, report: Report) -> None:
    """Curves of some classes, and the areas of all."""
    if not report["per_class"] or "auc" not in report["per_class"][0]:
        evaluate_again(run, "curves")
        return
    table = pd.DataFrame(report["per_class"])
    table = table[table["auc"].notna()].sort_values("auc", kind="stable")
    if table.empty:
        st.markdown("A curve needs test images of a class and others; here there is none of that.")
        return
    names = table["label"].tolist()
    left, right = st.columns([1, 2])
    kind = left.segmented_control("Curve", list(KINDS), default="ROC", required=True, key="curve-kind")
    chosen = right.multiselect(
        "Classes, the hardest first",
        names,
        default=names if len(names) <= MOST_DRAWN else names[:FIRST_DRAWN],
        max_selections=MOST_DRAWN,
        key=f"curve-classes-{run.id}",
    )
    found = {name: curves for name in chosen if (curves := readers.class_curves(run, name)) is not None}
    if found:
        figure = curves_chart(
            {name: curves.points for name, curves in found.items()},
            {name: curves.share for name, curves in found.items()},
            "roc" if KINDS[kind] == "roc" else "pr",
        )
        points = pd.concat([curves.points.assign(label=name) for name, curves in found.items()])
        show_figure(figure, points, f"ranking-{KINDS[kind]}", f"{kind} of {len(found)} classes, each against the rest")
    _areas(table)


def _areas(table: pd.DataFrame) -> None:
    intervals = [interval(*ends) for ends in table[["auc_low", "auc_high"]].itertuples(index=False)]
    shown = table.assign(interval=intervals, auc=100 * table["auc"], average_precision=100 * table["average_precision"])
    st.dataframe(
        shown[["label", "auc", "interval", "average_precision", "support"]],
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Class"),
            "auc": st.column_config.NumberColumn(
                "ROC area",
                format="%.1f %%",
                help="How often an image of the class scores above another: 50 % is chance.",
            ),
            "interval": st.column_config.TextColumn("95 %", help="95 % interval of the ROC area, in percent."),
            "average_precision": st.column_config.NumberColumn(
                "Average precision", format="%.1f %%", help="The area below the precision-recall curve."
            ),
            "support": st.column_config.NumberColumn("Test images", format="localized"),
        },
    )
