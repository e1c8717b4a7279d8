"""Explore: what is in this dataset?"""

from __future__ import annotations

import math

import streamlit as st

from core import charts
from core.data import summary, thumbnails
from core.data.datasets import Dataset, list_datasets, open_dataset
from core.wording import count, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.figures import show_figure
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.guard import fragment
from pages._components.image_view import image_view
from pages._components.labels import dataset_labels, dataset_sentence
from pages._components.text import escape

ALL = "All classes"
IMAGES_A_PAGE = 60
ROWS_A_PAGE = 100
VIEWS = ("Images", "Classes", "Sizes", "Unreadable files")


def _answer(dataset: Dataset) -> str:
    ratio = summary.imbalance_ratio(readers.dataset_tables(dataset)["classes"])
    if ratio == 1:
        balance = "every class has the same number of images"
    elif math.isfinite(ratio):
        balance = f"the largest class has {significant(ratio)} times as many images as the smallest"
    else:
        balance = "at least one class has no readable image"
    return f"{dataset_sentence(dataset)}; {balance}."


@fragment
def _images(dataset: Dataset) -> None:
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


def _classes(dataset: Dataset) -> None:
    counts = readers.dataset_tables(dataset)["classes"]
    show_figure(charts.class_counts_chart(counts), counts, "images-per-class", "Number of images of each class")


def _sizes(dataset: Dataset) -> None:
    tables = readers.dataset_tables(dataset)
    for column, side in zip(st.columns(2), ("width", "height"), strict=True):
        with column:
            figure = charts.size_histogram_chart(tables["sizes"], side)
            show_figure(figure, tables["sizes"], f"image-{side}s", f"Histogram of image {side}s in pixels")
    show_figure(charts.size_grid_chart(tables["grid"]), tables["grid"], "image-sizes", "Images by width and height")


def _unreadable(dataset: Dataset) -> None:
    rows = readers.dataset_tables(dataset)["unreadable"]
    if rows.empty:
        st.success(f"None: all {count(dataset.num_images, 'image')} could be decoded.", icon=":material/check_circle:")
        return
    st.markdown("These files stay in the list but are used for nothing. Replace them and add the folder again.")
    page = keys.page_of(len(rows), ROWS_A_PAGE, keys.PAGE)
    st.dataframe(rows.iloc[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE], hide_index=True)


workspace = Workspace.default()
datasets = list_datasets(workspace)
image = st.query_params.get(keys.IMAGE)
st.title("What is in this dataset?")
if not datasets:
    st.info("This page shows a dataset's images, classes, sizes and unreadable files. There is no dataset yet.")
    st.page_link(keys.OVERVIEW, label="Add a dataset on Overview", icon=":material/create_new_folder:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
    st.page_link(keys.TRAIN, label="Train on it", icon=":material/model_training:", query_params={keys.DATASET: chosen})
    st.page_link(keys.OVERVIEW, label="Add another dataset", icon=":material/create_new_folder:")
dataset = open_dataset(workspace, chosen)
if image:
    image_view(dataset, readers.dataset_rows(dataset), image)
    st.stop()
st.markdown(escape(_answer(dataset)))
view = st.segmented_control("Show", VIEWS, required=True, **keys.linked(keys.VIEW, keys.one_of(VIEWS), VIEWS[0]))
{VIEWS[0]: _images, VIEWS[1]: _classes, VIEWS[2]: _sizes, VIEWS[3]: _unreadable}[view](dataset)
