"""The figures of a sweep, one at a time, each with its data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import charts_sweeps as charts
from core.files import csv_bytes
from core.sweeps.results import TrialRow, trial_table
from core.sweeps.space import Range
from core.sweeps.spec import SweepSpec
from core.sweeps.store import Sweep
from pages._components import keys
from pages._components.figures import show_figure

HISTORY, CURVES, IMPORTANCE, SLICE, TOGETHER, TRIALS = (
    "History",
    "Epochs",
    "Importance",
    "One setting",
    "Together",
    "Trials",
)
VIEWS = (HISTORY, CURVES, IMPORTANCE, SLICE, TOGETHER, TRIALS)


def draw_figures(sweep: Sweep, spec: SweepSpec, rows: Sequence[TrialRow]) -> None:
    """Draw the choice of figures and the one chosen."""
    view = st.segmented_control(
        "Figure",
        VIEWS,
        required=True,
        label_visibility="collapsed",
        **keys.linked(keys.FIGURE, keys.one_of(VIEWS), HISTORY),
    )
    table = trial_table(spec, rows)
    logs = frozenset(path for path, one in spec.space.items() if isinstance(one, Range) and one.log)
    if view == HISTORY:
        alt = "The score of each trial and the best score so far"
        show_figure(charts.history_chart(table, spec.metric), table, f"{sweep.id}-history", alt)
    elif view == CURVES:
        curves = [(row.number, row.state, row.curve) for row in rows if row.curve]
        points = [(number, state, *point) for number, state, curve in curves for point in curve]
        data = pd.DataFrame(points, columns=["trial", "state", "epoch", spec.metric])
        alt = "The metric by epoch of each trial, pruned ones ending early"
        show_figure(charts.curves_chart(curves, spec.metric), data, f"{sweep.id}-epochs", alt)
    elif view == IMPORTANCE:
        _importance(sweep)
    elif view == SLICE:
        paths = list(spec.space)
        path = st.selectbox("Setting", paths, **keys.linked(keys.AXIS, keys.one_of(paths), paths[0]))
        alt = f"The score of each trial by {path}"
        show_figure(charts.slice_chart(table, path, spec.metric, path in logs), table, f"{sweep.id}-{path}", alt)
    elif view == TOGETHER:
        alt = "Each finished trial as a line through its values, coloured by its score"
        show_figure(charts.parallel_chart(table, list(spec.space), spec.metric, logs), table, f"{sweep.id}-all", alt)
    else:
        _trials(sweep, table)


def _importance(sweep: Sweep) -> None:
    shares = sweep.importance()
    if not shares:
        st.caption("At least four trials must finish, with different scores, before this can be told.")
        return
    data = pd.DataFrame(shares.items(), columns=["setting", "share"])
    alt = "How much of the spread in score each setting explains"
    show_figure(charts.importance_chart(shares), data, f"{sweep.id}-importance", alt)


def _trials(sweep: Sweep, table: pd.DataFrame) -> None:
    # The settings' values are of several kinds, which one column of a table cannot hold.
    shown = table.astype({column: str for column in table.columns[10:]}).sort_values("trial", ascending=False)
    st.dataframe(shown, hide_index=True, key=f"trials-{sweep.id}")
    st.download_button(
        "Data as CSV",
        lambda: csv_bytes(table),
        f"{sweep.id}-trials.csv",
        "text/csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
