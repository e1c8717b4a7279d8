"""The images themselves, a page at a time: filtered, sorted, opened one by one, chosen to be edited together."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data import summary, thumbnails
from core.data.datasets import Dataset
from core.data.filters import MEASURES, Filters, has_measure, measured, value_in_words
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.explore.filters_bar import filters_bar
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.guard import fragment

BY_PATH = "path"
PAGE_SIZES = (60, 120, 240)


@fragment
def draw(workspace: Workspace, dataset: Dataset) -> None:
    """Filters, sorting, the gallery, and what can be done with the images that are selected."""
    filters = filters_bar(dataset)
    with st.container(horizontal=True, vertical_alignment="bottom", key="sorting"):
        by, falling, page_size = _sorting(dataset)
    places = ordered(dataset, filters, by, falling)
    page = keys.page_of(len(places), page_size, keys.PAGE)
    tiles = tiles_at(dataset, places[(page - 1) * page_size : page * page_size], None if by == BY_PATH else by)
    with st.container(key="gallery"):
        # An edit may take what was selected out of the gallery, so it ends the selection.
        key = f"gallery-{dataset.id}-{dataset.fingerprint}"
        picked, selected = gallery(tiles, f"Images of {dataset.name}", key=key, selectable=True)
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)


def ordered(dataset: Dataset, filters: Filters, by: str, falling: bool) -> np.ndarray:
    """Places of the images in the gallery, in its order."""
    return readers.ordered(dataset, filters, None if by == BY_PATH else by, falling)


def tiles_at(dataset: Dataset, places: np.ndarray, by: str | None = None) -> list[Tile]:
    """The images at these places of the dataset's rows, with the measure they are sorted by, if any."""
    rows = readers.dataset_rows(dataset)
    columns = ["path", "label", "content_hash", "width", "height", "excluded", "source_label"]
    notes = [""] * len(places)
    if by is not None:
        values = measured(rows.iloc[places], by)
        notes = [f"{MEASURES[by].title}: {value_in_words(by, float(value))}" for value in values]
    return [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset.id, row.content_hash),
            alt=f"{row.label}: {row.path}",
            caption=row.label,
            note=note or (f"was {row.source_label}" if row.source_label != row.label else ""),
            mark="excluded" if row.excluded else "",
            pixel_art=max(row.width, row.height) < PIXEL_ART_BELOW,
        )
        for row, note in zip(summary.rows_at(rows, places, columns).itertuples(), notes, strict=True)
    ]


def sorting_of_address(dataset: Dataset) -> tuple[str, bool]:
    """What the gallery is sorted by, and whether from the highest down, as the address says."""
    by = st.query_params.get(keys.SORT, BY_PATH)
    return by if by in _orders(dataset) else BY_PATH, st.query_params.get(keys.FALLING) == "True"


def _orders(dataset: Dataset) -> dict[str, str]:
    rows = readers.dataset_rows(dataset)
    return {BY_PATH: "Path"} | {name: one.title for name, one in MEASURES.items() if has_measure(rows, name)}


def _sorting(dataset: Dataset) -> tuple[str, bool, int]:
    names = _orders(dataset)
    by = st.selectbox(
        "Sort by",
        list(names),
        format_func=names.__getitem__,
        width=220,
        **keys.linked(keys.SORT, keys.one_of(names), BY_PATH),
    )
    falling = st.selectbox(
        "Order",
        [False, True],
        format_func=lambda down: "Highest first" if down else "Lowest first",
        width=150,
        **keys.linked(keys.FALLING, {"True": True, "False": False}.get, False),
    )
    size = st.selectbox(
        "Images a page",
        PAGE_SIZES,
        width=120,
        **keys.linked(keys.PAGE_SIZE, lambda text: int(text) if text in map(str, PAGE_SIZES) else None, PAGE_SIZES[0]),
    )
    return by, falling, size
