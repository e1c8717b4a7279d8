"""The filters of Explore: what is on, each with a way to take it off, and one way to add more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.data.datasets import Dataset
from core.data.filters import FLAGS, MEASURES, SPLIT_NAMES, Excluded, Filters, extent, has_measure, value_in_words
from core.wording import count
from pages._components import keys, readers
from pages._components.text import escape

_EXCLUDED: dict[Excluded, str] = {"hide": "Hidden", "show": "Among the others", "only": "Alone"}
_BY_VALUE = ("Split", "Format", "Colour mode", "Found by a check", "Path", "Edits")


def filters_bar(dataset: Dataset) -> Filters:
    """Draw the filters that the address asks for, with how many images pass, and return them."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        filters = filter_choices(dataset)
    filter_chips(dataset, filters)
    return filters


def filter_choices(dataset: Dataset) -> Filters:
    """The class box and the way to add other filters, for a row of them; returns the filters of the address."""
    filters = keys.filters()
    classes = readers.labels(dataset)
    _choose("Class", "classes", classes, filters, placeholder=f"All {count(len(classes))}", width=200)
    with st.popover("Add filter", icon=":material/filter_alt:"):
        _add(dataset, filters)
    return filters


def filter_chips(dataset: Dataset, filters: Filters) -> None:
    """How many images pass, and each filter with a way to take it off."""
    classes = readers.labels(dataset)
    shown = int(np.count_nonzero(readers.passing(dataset, filters)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chips"):
        st.markdown(f"**{count(shown)} of {count(dataset.num_images, 'image')}**", width="content")
        listed = tuple(name for name in filters.classes if name in classes)  # these have their chips in the box above
        for number, (words, rest) in enumerate(replace(filters, classes=_without(filters.classes, listed)).described()):
            kept = (*listed, *rest.classes)
            st.button(
                escape(words),
                key=f"chip-{number}",
                icon=":material/close:",
                icon_position="right",
                help="Take this filter off",
                on_click=keys.write_filters,
                args=(replace(rest, classes=kept),),
            )
        if filters.any:
            st.button(
                "Clear filters", key="clear-filters", type="tertiary", on_click=keys.write_filters, args=(Filters(),)
            )
    if filters.any and not shown:
        st.info("No image passes all of these filters: take one off.", icon=":material/filter_alt_off:")


def _add(dataset: Dataset, filters: Filters) -> None:
    """The control of one kind of filter, chosen by name."""
    rows = readers.dataset_rows(dataset)
    names = {kind: kind for kind in _BY_VALUE}
    names |= {column: measure.title for column, measure in MEASURES.items() if has_measure(rows, column)}
    kind = st.selectbox("Filter by", list(names), format_func=names.__getitem__, key="filter-kind")
    if kind == "Split":
        _choose("Split", "splits", list(SPLIT_NAMES), filters, SPLIT_NAMES)
    elif kind == "Format":
        _choose("Format", "formats", list(rows["format"].cat.categories), filters)
    elif kind == "Colour mode":
        _choose("Colour mode", "modes", list(rows["mode"].cat.categories), filters)
    elif kind == "Found by a check":
        known = {flag: title for flag, title in FLAGS.items() if f"is_{flag}" in rows}
        _choose("Any of these", "flags", list(known), filters, known)
    elif kind == "Path":
        _text(filters)
    elif kind == "Edits":
        _edits(filters)
    else:
        _range(dataset, kind, filters)


def _choose(
    label: str,
    field: str,
    options: Sequence[str],
    filters: Filters,
    names: Mapping[str, str] | None = None,
    **look: Any,
) -> None:
    key = f"filter-{field}"
    st.session_state[key] = [value for value in getattr(filters, field) if value in options]

    def changed() -> None:
        keys.change_filters(lambda now: replace(now, **{field: tuple(st.session_state[key])}))

    show = names.__getitem__ if names else str
    st.multiselect(label, options, format_func=show, key=key, on_change=changed, **look)


def _text(filters: Filters) -> None:
    st.session_state["filter-text"] = filters.text

    def changed() -> None:
        keys.change_filters(lambda now: replace(now, text=st.session_state["filter-text"].strip()))

    st.text_input("Path contains", key="filter-text", on_change=changed, help="Part of a folder or file name.")


def _edits(filters: Filters) -> None:
    st.session_state["filter-edited"] = filters.edited
    st.session_state["filter-excluded"] = filters.excluded

    def changed() -> None:
        edited, excluded = st.session_state["filter-edited"], st.session_state["filter-excluded"]
        keys.change_filters(lambda now: replace(now, edited=edited, excluded=excluded or "hide"))

    st.segmented_control(
        "Images you excluded",
        list(_EXCLUDED),
        format_func=_EXCLUDED.__getitem__,
        required=True,
        key="filter-excluded",
        on_change=changed,
    )
    st.toggle("Only images whose label you changed", key="filter-edited", on_change=changed)


def _range(dataset: Dataset, column: str, filters: Filters) -> None:
    measure = MEASURES[column]
    known = readers.counted(dataset, readers.ALL, ("extent", column), lambda rows, mask: extent(rows, mask, column))
    if known is None:
        st.caption("Not measured for these images. Index the dataset again to have it.")
        return
    now = filters.within(column)
    kind, step = (int, 1) if measure.whole else (float, None)
    sides = {"low": now.low if now else None, "high": now.high if now else None}
    for side, value in sides.items():
        st.session_state[f"filter-{column}-{side}"] = None if value is None else kind(value)

    def changed(side: str) -> None:
        typed = {name: st.session_state.get(f"filter-{column}-{name}") for name in sides}
        if None not in typed.values() and typed["low"] >= typed["high"]:  # what was typed last counts
            typed = {name: value if name == side else None for name, value in typed.items()}
        keys.change_filters(lambda filters: filters.with_range(column, typed["low"], typed["high"]))

    st.caption(f"{measure.meaning} Here: {value_in_words(column, known[0])} to {value_in_words(column, known[1])}.")
    unit = f" ({measure.unit})" if measure.unit else ""
    for (side, words), place in zip((("low", "At least"), ("high", "Below")), st.columns(2), strict=True):
        place.number_input(
            words + unit,
            value=None,
            step=step,
            format=None if measure.whole else "%.6g",
            key=f"filter-{column}-{side}",
            on_change=changed,
            args=(side,),
            placeholder="any",
        )


def _without(values: tuple[str, ...], those: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in values if value not in those)
