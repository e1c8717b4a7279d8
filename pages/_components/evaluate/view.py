"""What Evaluate knows of each of its views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import streamlit as st

from core.runs.store import Run

Report = dict[str, Any]


def always(report: Report) -> bool:
    """For views that every report has something for."""
    return True


class View(NamedTuple):
    """One view of a run's evaluation.

    Attributes:
        title: as it stands in the row of views and in the address.
        draw: puts it on the page.
        fits: whether there is anything to show of this report; the view is not offered otherwise.
    """

    title: str
    draw: Callable[[Run, Report], None]
    fits: Callable[[Report], bool] = always


def evaluate_again(run: Run, missing: str) -> None:
    """Say that the report is too old for this view, and how to renew it."""
    st.info(f"This run was evaluated by an earlier version of Darkroom, without {missing}. Evaluate it again:")
    st.code(f"python -m core evaluate {run.id}", language="bash")
