"""The curves of several runs on top of each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import charts_compare
from pages._components import keys
from pages._components.compare import reading
from pages._components.compare.chosen import Chosen
from pages._components.figures import show_figure
from pages._components.guard import fragment

_BY = {"Epoch": "epoch", "Time": "minutes"}
_MOST_SMOOTHING = 0.95


@fragment
def draw(chosen: Sequence[Chosen]) -> None:
    """One figure, with what it shows and how much it is smoothed to choose."""
    names = list(charts_compare.METRICS)
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom")
    metric = left.selectbox(
        "Figure",
        names,
        format_func=charts_compare.METRICS.__getitem__,
        **keys.linked(keys.METRIC, keys.one_of(names), names[0]),
    )
    by = middle.segmented_control(
        "Along", list(_BY), required=True, **keys.linked(keys.BY, keys.one_of(list(_BY)), "Epoch")
    )
    weight = right.slider(
        "Smoothing",
        0.0,
        _MOST_SMOOTHING,
        step=0.05,
        help="Weight of the epochs before in a moving average. 0 shows what was measured; with more the faint line "
        "still does.",
        **keys.linked(keys.SMOOTHING, _weight, 0.0),
    )
    histories = {one.name: reading.history(one.run) for one in chosen}
    silent = [name for name, rows in histories.items() if not rows]
    figure = charts_compare.curves_chart(histories, metric, weight, _BY[by])
    table = pd.concat(
        [pd.DataFrame(rows).assign(run=name) for name, rows in histories.items() if rows] or [pd.DataFrame()]
    )
    show_figure(figure, table, "compared-curves", f"{charts_compare.METRICS[metric]} of {len(chosen)} runs")
    if silent:
        st.caption(f"No epoch finished yet in {len(silent)} of them.")


def _weight(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= _MOST_SMOOTHING else None
