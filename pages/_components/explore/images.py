"""The images themselves, a page at a time: filtered, sorted, opened one by one, chosen to be edited together."""

from __future__ import annotations

import streamlit as st

from core.data.datasets import Dataset
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.dataset_tiles import BY_PATH, sort_names, tiles_at
from pages._components.edit_bar import edit_bar
from pages._components.explore.filters_bar import filter_chips, filter_choices
from pages._components.gallery import gallery
from pages._components.guard import fragment

PAGE_SIZES = (60, 120, 240)


@fragment
def draw(workspace: Workspace, dataset: Dataset) -> None:
    """Filters, sorting, the gallery, and what can be done with the images that are selected."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        filters = filter_choices(dataset)
        by, falling, page_size = _sorting(dataset)
    filter_chips(dataset, filters)
    places = readers.ordered(dataset, filters, by, falling)
    page = keys.page_of(len(places), page_size, keys.PAGE)
    tiles = tiles_at(dataset, places[(page - 1) * page_size : page * page_size], by)
    with st.container(key="gallery"):
        # An edit may take what was selected out of the gallery, so it ends the selection.
        key = f"gallery-{dataset.id}-{dataset.fingerprint}"
        picked, selected = gallery(tiles, f"Images of {dataset.name}", key=key, selectable=True)
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
    edit_bar(workspace, dataset, selected, readers.labels(dataset), key="images")


def _sorting(dataset: Dataset) -> tuple[str | None, bool, int]:
    names = sort_names(dataset)
    by = st.selectbox(
        "Sort by",
        list(names),
        format_func=names.__getitem__,
        width=160,
        **keys.linked(keys.SORT, keys.one_of(names), BY_PATH),
    )
    falling = st.selectbox(
        "Order",
        [False, True],
        format_func=lambda down: "Descending" if down else "Ascending",
        width=130,
        **keys.linked(keys.FALLING, {"True": True, "False": False}.get, False),
    )
    size = st.selectbox(
        "Images a page",
        PAGE_SIZES,
        width=110,
        **keys.linked(keys.PAGE_SIZE, lambda text: int(text) if text in map(str, PAGE_SIZES) else None, PAGE_SIZES[0]),
    )
    return None if by == BY_PATH else by, falling, size
