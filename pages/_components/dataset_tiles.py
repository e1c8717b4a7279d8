"""A dataset's images as tiles of a gallery, and the order in which its gallery goes through them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.data import summary, thumbnails
from core.data.datasets import Dataset
from core.data.filters import MEASURES, has_measure, measured, value_in_words
from pages._components import keys, readers
from pages._components.gallery import PIXEL_ART_BELOW, Tile

BY_PATH = "path"


def tiles_at(dataset: Dataset, places: np.ndarray, by: str | None = None, with_path: bool = False) -> list[Tile]:
    """The images at these places of `readers.dataset_rows`; a click reports the path.

    Args:
        by: a measure to write below each image.
        with_path: write the path there.
    """
    rows = readers.dataset_rows(dataset)
    columns = ["path", "label", "content_hash", "width", "height", "excluded", "source_label"]
    shown = summary.rows_at(rows, places, columns)
    notes = [""] * len(places)
    if by is not None:
        values = measured(summary.rows_at(rows, places, [by, "width", "height"]), by)
        notes = [f"{MEASURES[by].title}: {value_in_words(by, float(value))}" for value in values]
    elif with_path:
        notes = shown["path"].tolist()
    return [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset.id, row.content_hash),
            alt=f"{row.label}: {row.path}",
            caption=row.label if row.source_label == row.label else f"{row.label}, was {row.source_label}",
            note=note,
            mark="excluded" if row.excluded else "",
            pixel_art=max(row.width, row.height) < PIXEL_ART_BELOW,
        )
        for row, note in zip(shown.itertuples(), notes, strict=True)
    ]


def sorting_of_address(dataset: Dataset) -> tuple[str | None, bool]:
    """The measure a dataset's images are sorted by, None for their path, and whether from the highest down."""
    by = st.query_params.get(keys.SORT, BY_PATH)
    known = by != BY_PATH and has_measure(readers.dataset_rows(dataset), by)
    return by if known else None, st.query_params.get(keys.FALLING) == "True"


def sort_names(dataset: Dataset) -> dict[str, str]:
    """What the images can be sorted by, and what each is called."""
    rows = readers.dataset_rows(dataset)
    return {BY_PATH: "Path"} | {name: one.title for name, one in MEASURES.items() if has_measure(rows, name)}
