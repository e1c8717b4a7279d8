"""Evaluate's view of every figure with its interval, beside what no skill would score."""

from __future__ import annotations

import streamlit as st

from core.charts_evaluation import scores_chart
from core.evaluation.scores import score_table
from core.runs.store import Run
from core.wording import count
from pages._components.evaluate.view import Report, evaluate_again
from pages._components.figures import show_figure

_COLUMNS = {
    "title": ("Measure", None),
    "shown": ("This model (95 % interval)", "Where the figure plausibly lies for endless images like these."),
    "shown_majority": (
        "Commonest class",
        "Always answering the commonest class; for log-loss and Brier score, the classes' shares as probabilities.",
    ),
    "shown_chance": ("Guessing", "Guessing, all classes alike."),
    "meaning": ("What it says", None),
}


def draw(run: Run, report: Report) -> None:
    """The figures of the test images as a chart and as a table."""
    if "metrics" not in report:
        evaluate_again(run, "these figures")
        return
    table = score_table(report["metrics"])
    if table.empty:
        st.markdown("There are no test images to measure on.")
        return
    shares = table[table["is_share"]]
    figures = table[["name", "value", "low", "high", "majority", "chance"]]
    show_figure(scores_chart(shares), figures, "scores", "Scores of the test images with 95 % intervals")
    st.dataframe(
        table[list(_COLUMNS)],
        hide_index=True,
        height="content",
        column_config={
            name: st.column_config.TextColumn(title, help=help, pinned=name == "title")
            for name, (title, help) in _COLUMNS.items()
        },
    )
    st.caption(
        f"Of {count(report['num_test'], 'test image')}. Intervals come from a bootstrap: how the figure would vary in "
        "other test sets of this size. They know nothing of images of another kind."
    )
