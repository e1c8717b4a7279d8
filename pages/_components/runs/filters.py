"""Search and filters of the list of runs, in the address, so that a link shows the same list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core.runs.choosing import PARAMETERS, RunFilters
from pages._components import keys
from pages._components.runs.columns import FIRST, columns

_ARCHIVED = {"hide": "Left out", "show": "Among the others", "only": "Alone"}
_SHOWN = "runs-columns"  # session: the columns last chosen, for a visit whose address does not say


def wanted() -> RunFilters:
    """The filters that the address asks for."""
    return RunFilters.from_query(st.query_params)


def write(filters: RunFilters) -> None:
    """From a callback: put these filters into the address; the list starts over at its first page."""
    query = filters.to_query()
    for parameter in PARAMETERS:
        keys.write(parameter, query.get(parameter))
    keys.write(keys.PAGE, None)


def draw_filters(table: pd.DataFrame, dataset_names: dict[str, str]) -> RunFilters:
    """Draw them above the list and return what they say."""
    filters = wanted()
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs-filters"):
        st.session_state["runs-find"] = filters.text
        st.text_input(
            "Search",
            key="runs-find",
            placeholder="name, note, tag, dataset, message",
            icon=":material/search:",
            width=260,
            on_change=_changed(lambda now: replace(now, text=" ".join(st.session_state["runs-find"].split()))),
        )
        states = [state for state in table["state"].unique() if state]
        _several("State", "states", states, filters, width=190)
        with st.popover("Filter", icon=":material/filter_alt:"):
            datasets = [one for one in table["dataset"].dropna().unique()]
            _several("Dataset", "datasets", datasets, filters, lambda one: dataset_names.get(one, one))
            _several("Network", "architectures", list(table["architecture"].dropna().unique()), filters)
            _several("Tag", "tags", sorted({tag for tags in table["tags"] for tag in tags}), filters)
            st.session_state["runs-archived"] = filters.archived
            st.segmented_control(
                "Archived runs",
                list(_ARCHIVED),
                format_func=_ARCHIVED.__getitem__,
                required=True,
                key="runs-archived",
                on_change=_changed(lambda now: replace(now, archived=st.session_state["runs-archived"] or "hide")),
            )
            st.session_state["runs-favourites"] = filters.favourites
            st.toggle(
                "Favourites only",
                key="runs-favourites",
                on_change=_changed(lambda now: replace(now, favourites=st.session_state["runs-favourites"])),
            )
        _columns()
        if filters.any:
            st.button("Clear filters", key="runs-clear", type="tertiary", on_click=write, args=(RunFilters(),))
    return filters


def shown_columns() -> list[str]:
    """The columns that the address asks for, else those last chosen here."""
    asked = st.query_params.get(keys.COLUMNS)
    names = st.session_state.get(_SHOWN, FIRST) if asked is None else asked.split(",")
    return [name for name in names if name in columns()]


def _columns() -> None:
    st.session_state["runs-columns-select"] = shown_columns()

    def changed() -> None:
        chosen = st.session_state["runs-columns-select"]
        st.session_state[_SHOWN] = chosen
        keys.write(keys.COLUMNS, ",".join(chosen) if tuple(chosen) != FIRST else None)

    with st.popover("Columns", icon=":material/view_column:"):
        st.multiselect(
            "Columns shown",
            list(columns()),
            format_func=lambda name: columns()[name].title,
            key="runs-columns-select",
            on_change=changed,
            help="Figures of the report and the epochs, what people noted, and every setting.",
        )


def _several(
    label: str,
    field: str,
    options: Sequence[str],
    filters: RunFilters,
    show: Callable[[str], str] = str,
    **look: Any,
) -> None:
    key = f"runs-{field}"
    now = getattr(filters, field)
    offered = list(dict.fromkeys([*options, *now]))  # one that no run has any more can still be taken off
    st.session_state[key] = list(now)
    st.multiselect(
        label,
        offered,
        format_func=show,
        key=key,
        placeholder="Any",
        on_change=_changed(lambda before: replace(before, **{field: tuple(st.session_state[key])})),
        **look,
    )


def _changed(change: Callable[[RunFilters], RunFilters]) -> Callable[[], None]:
    def changed() -> None:
        keys.catch_up()
        write(change(wanted()))

    return changed
