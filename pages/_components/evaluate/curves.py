"""Evaluate's view of how training went, epoch by epoch; what that means is said by the diagnosis."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import charts
from core.runs.store import Run
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure


def draw(run: Run, report: Report) -> None:
    """Loss and accuracy by epoch, and what they mean in words."""
    history = run.metrics()
    for column, metric in zip(st.columns(2), ("loss", "accuracy"), strict=True):
        with column:
            figure = charts.training_curves_chart(history, metric)
            show_figure(figure, pd.DataFrame(history), f"curves-{metric}", f"Training and validation {metric} by epoch")
