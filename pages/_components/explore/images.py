"""The images themselves, a page at a time."""

from __future__ import annotations

import streamlit as st

from core.data import summary, thumbnails
from core.data.datasets import Dataset
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.guard import fragment

ALL = "All classes"
IMAGES_A_PAGE = 60


@fragment
def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The gallery of one class or of all."""
    rows, classes = readers.dataset_rows(dataset), readers.dataset_tables(dataset)["classes"]
    labels = [ALL, *sorted(classes["label"])]
    label = st.selectbox("Class", labels, **keys.linked(keys.CLASS, keys.one_of(labels), ALL))
    chosen = None if label == ALL else label
    num_images = int(dataset.num_images if chosen is None else classes.set_index("label")["images"][chosen])
    page = keys.page_of(num_images, IMAGES_A_PAGE, keys.PAGE)
    images, _ = summary.gallery_page(rows, chosen, page, IMAGES_A_PAGE)
    tiles = [
        Tile(
            id=row.content_hash,
            src=thumbnails.url(dataset.id, row.content_hash),
            alt=f"{row.label}: {row.path}",
            caption=row.label,
            pixel_art=max(row.width, row.height) < PIXEL_ART_BELOW,
        )
        for row in images.itertuples()
    ]
    picked = gallery(tiles, f"Images of {label}", key="gallery")
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
