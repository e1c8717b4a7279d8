"""One searched setting in the form: between which values, and on which scale."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import Knob
from core.sweeps.space import GRID_POINTS, Choices, Dimension, Range, parse_choices, usual

_RANGE, _LOG, _LIST = "Range", "Range, log scale", "List"


def draw_dimension(knob: Knob, value: Any, origin: str) -> Dimension:
    """Draw a row of fields; returns what they say.

    Args:
        value: what the setting is where the search starts.
        origin: of that value; another one brings other values to begin with.

    Raises:
        InputError: a list that cannot be read.
    """
    start = usual(knob, value)
    key = f"sweep-{origin}-{knob.path}"
    with st.container(border=True, key=f"dimension-{knob.path}", gap="small"):
        st.markdown(f"**{knob.label}**, from {value}", help=knob.help)
        if knob.choices or knob.kind is bool:
            return _choices(knob, start, key)
        if knob.kind is str:
            return parse_choices(knob, _listed(knob, start, key))
        return _numbers(knob, start, key)


def _choices(knob: Knob, start: Dimension, key: str) -> Dimension:
    options = list(knob.choices) or [False, True]
    first = list(start.values) if isinstance(start, Choices) else options
    picked = st.pills(
        f"Values of {knob.label}",
        options,
        selection_mode="multi",
        default=first,
        key=f"{key}-choices",
        persist_state="session",
        label_visibility="collapsed",
    )
    return Choices(values=tuple(picked))


def _numbers(knob: Knob, start: Dimension, key: str) -> Dimension:
    scales = [_RANGE, _LOG, _LIST]
    first = _LIST if isinstance(start, Choices) else _LOG if start.log else _RANGE
    scale = st.segmented_control(
        f"How {knob.label} is searched",
        scales,
        default=first,
        required=True,
        key=f"{key}-scale",
        persist_state="session",
        label_visibility="collapsed",
    )
    if scale == _LIST:
        return parse_choices(knob, _listed(knob, start, key))
    low, high = (start.low, start.high) if isinstance(start, Range) else (min(start.values), max(start.values))
    columns = st.columns(3)
    whole = knob.kind is int
    how: dict[str, Any] = {"persist_state": "session", "help": f"Allowed: {knob.allowed}."}
    step = low if scale == _LOG and low > 0 else (high - low) / 20
    how |= {"step": 1} if whole else {"format": "%g", "step": float(f"{step:.1g}")}
    kind = int if whole else float
    lowest = columns[0].number_input(f"{knob.label}: lowest", value=kind(low), key=f"{key}-low", **how)
    highest = columns[1].number_input(f"{knob.label}: highest", value=kind(high), key=f"{key}-high", **how)
    points = GRID_POINTS
    if st.session_state.get("sweep-sampler") == "grid":
        points = columns[2].number_input(
            f"{knob.label}: grid points", 2, 100, GRID_POINTS, key=f"{key}-points", persist_state="session"
        )
    return Range(low=lowest, high=highest, log=scale == _LOG, points=int(points))


def _listed(knob: Knob, start: Dimension, key: str) -> str:
    first = start.values if isinstance(start, Choices) else (start.low, start.high)
    return st.text_input(
        f"{knob.label}: values, with commas between",
        value=", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in first),
        key=f"{key}-list",
        persist_state="session",
        help=f"Allowed: {knob.allowed}.",
    )
