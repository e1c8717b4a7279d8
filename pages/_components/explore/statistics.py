"""Classes and measurements as charts."""

from __future__ import annotations

import streamlit as st

from core import charts
from core.data.datasets import Dataset
from core.workspace import Workspace
from pages._components import readers
from pages._components.figures import show_figure


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """Class counts and image sizes."""
    tables = readers.dataset_tables(dataset)
    counts = tables["classes"]
    show_figure(charts.class_counts_chart(counts), counts, "images-per-class", "Number of images of each class")
    for column, side in zip(st.columns(2), ("width", "height"), strict=True):
        with column:
            figure = charts.size_histogram_chart(tables["sizes"], side)
            show_figure(figure, tables["sizes"], f"image-{side}s", f"Histogram of image {side}s in pixels")
    show_figure(charts.size_grid_chart(tables["grid"]), tables["grid"], "image-sizes", "Images by width and height")
