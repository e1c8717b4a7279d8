"""A map of the images, alike ones close together: mark a region of it and see, or correct, what is there."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core import charts_data
from core.data.analysis import Summary, points_of_map
from core.data.datasets import Dataset
from core.data.filters import Filters
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.analysis_panel import analysis_panel
from pages._components.dataset_tiles import tiles_at
from pages._components.edit_bar import edit_bar
from pages._components.explore.filters_bar import filters_bar
from pages._components.gallery import gallery
from pages._components.guard import fragment

MAX_POINTS = 5_000  # each that is selected travels to the server with every click
IMAGES_A_PAGE = 60
PROJECTIONS = {"map": "t-SNE", "pca": "PCA"}
COLOURS = {"label": "Class", "split": "Split"}
_SELDOM = [
    "toImage",
    "zoomIn2d",
    "zoomOut2d",
    "autoScale2d",
]  # without them the buttons fit beside the title on a phone


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The analysis where there is none, else the map with the gallery of what is marked on it."""
    summary = analysis_panel(workspace, dataset)
    if summary is not None and "map_x" in readers.dataset_rows(dataset):
        fragment(_map)(workspace, dataset, summary)


def _map(workspace: Workspace, dataset: Dataset, summary: Summary) -> None:
    filters = filters_bar(dataset)
    with st.container(horizontal=True, key="map-choices"):
        projection = st.segmented_control(
            "Projection",
            list(PROJECTIONS),
            format_func=PROJECTIONS.__getitem__,
            required=True,
            **keys.linked("projection", keys.one_of(PROJECTIONS), "map"),
        )
        colour_by = st.segmented_control(
            "Colour",
            list(COLOURS),
            format_func=COLOURS.__getitem__,
            required=True,
            **keys.linked("colour", keys.one_of(COLOURS), "label"),
        )
    places = _chart(dataset, filters, summary, projection, colour_by)
    _gallery(workspace, dataset, places)


def _chart(dataset: Dataset, filters: Filters, summary: Summary, projection: str, colour_by: str) -> np.ndarray:
    """Draw the map; gives the places of the images that are marked on it."""
    points = readers.counted(
        dataset,
        filters,
        ("map", projection, colour_by),
        lambda rows, mask: points_of_map(rows, mask, projection, colour_by, MAX_POINTS),
    )
    if points.empty:
        st.markdown("None of these images is on the map.")
        return np.empty(0, np.int64)
    num_passing = int(np.count_nonzero(readers.passing(dataset, filters)))
    note = f"A random {count(len(points))} of {count(num_passing, 'image')}" if len(points) < num_passing else ""
    key = f"map-{dataset.id}-{dataset.fingerprint}-{summary.at:.0f}-{projection}-{colour_by}-{hash(filters)}"
    event = st.plotly_chart(
        charts_data.map_points(points, projection, note),
        theme="streamlit",
        key=key,
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        config={"displaylogo": False, "displayModeBar": True, "scrollZoom": True, "modeBarButtonsToRemove": _SELDOM},
        alt="Map of the images: each is a point, alike ones are close together",
    )
    st.caption(_how_to_read(summary, projection))
    marked = [point["customdata"][0] for point in event.selection.points if point.get("customdata")]
    return np.unique(np.array(marked, np.int64))


def _how_to_read(summary: Summary, projection: str) -> str:
    if projection == "pca":
        return (
            "The two directions in which the images differ most. Distances are true as far as two directions go; "
            "groups may lie over each other."
        )
    arranged = ""
    if summary.num_arranged < summary.num_images:
        arranged = (
            f" t-SNE arranged {count(summary.num_arranged)} images drawn at random; every other one stands among its "
            "nearest of these."
        )
    return (
        "Neighbours on the map look alike to the network. The distance between groups, and their size, mean little. A "
        f"point of one class deep inside another is worth a look.{arranged}"
    )


def _gallery(workspace: Workspace, dataset: Dataset, places: np.ndarray) -> None:
    if not len(places):
        st.markdown(
            ":material/lasso_select: Draw around points, or click one, to see their images. A double click on the map "
            "ends the selection."
        )
        edit_bar(workspace, dataset, [], [], key="map")
        return
    st.subheader(f"{count(len(places), 'image')} on the map selected")
    page = keys.page_of(len(places), IMAGES_A_PAGE, keys.PAGE)
    shown = places[(page - 1) * IMAGES_A_PAGE : page * IMAGES_A_PAGE]
    picked, ticked = gallery(
        tiles_at(dataset, shown),
        "Images selected on the map",
        key=f"map-images-{dataset.id}-{dataset.fingerprint}-{hash(places.tobytes())}",
        selectable=True,
    )
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
    everything = st.toggle(f"Edit all {count(len(places))}, not only those ticked", key="map-edit-all")
    paths = readers.dataset_rows(dataset)["path"].iloc[places].tolist() if everything else ticked
    edit_bar(workspace, dataset, paths, readers.labels(dataset), key="map")
