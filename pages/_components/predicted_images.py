"""A gallery of classified images: what each is, what the model took it for, and how sure it was; also to correct."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core.data import thumbnails
from core.data.datasets import Dataset, open_dataset
from core.errors import DarkroomError
from core.evaluation.nearest import Near, Nearest
from core.runs.store import Run
from core.wording import percent, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.edit_bar import edit_bar
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery

IMAGES_A_PAGE, ROWS_A_PAGE = 48, 10
_BESIDE = "//"  # in the id of a tile, between an image and one shown beside it; no path has two slashes in a row


def predicted_images(run: Run, images: pd.DataFrame, key: str, near: Nearest | None = None) -> None:
    """Draw one page of `images`, rows of the predictions table.

    A click opens the image's own view; selected ones can be corrected in the dataset as it is today, which does not
    change what this run was trained on and tested with.

    Args:
        near: each image in a row of its own, followed by the training images nearest to it.
    """
    a_page = IMAGES_A_PAGE if near is None else ROWS_A_PAGE
    page = keys.page_of(len(images), a_page, keys.PAGE)
    shown = images.iloc[(page - 1) * a_page : page * a_page]
    if shown.empty:
        return
    workspace, dataset_id = Workspace.default(), run.config.data.dataset
    dataset = _dataset(workspace, dataset_id)
    tiles = _tiles(run, dataset_id, shown, _changes(dataset, shown) if dataset else {})
    if near is not None:
        tiles = _with_nearest(run, dataset, tiles, near)
    with st.container(key=f"{key}-gallery"):
        if dataset is None:
            picked = gallery(tiles, "Classified images", key=f"{key}-tiles")
        else:
            # An edit ends the selection it was made with.
            version = f"{key}-tiles-{dataset.fingerprint}"
            picked, selected = gallery(tiles, "Classified images", key=version, selectable=True)
    if picked:
        keys.open_image(dataset_id, _path(picked), keys.EVALUATE)
    if dataset is not None:
        paths = list(dict.fromkeys(map(_path, selected)))
        edit_bar(workspace, dataset, paths, readers.labels(dataset), key=key)
        if run.data().get("dataset_fingerprint") != dataset.fingerprint:
            st.caption("What was corrected since this run, and the button that trains with it, are above the views.")


def _with_nearest(run: Run, dataset: Dataset | None, tiles: list[Tile], near: Nearest) -> list[Tile]:
    """Each tile, and after it the training images nearest to it, where they are known."""
    wanted = {one.path for tile in tiles for one in near.beside.get(tile.id, ())}
    rows = readers.run_rows(run)
    rows = rows.loc[rows["path"].isin(wanted), ["path", "label", "content_hash", "width", "height"]]
    changes = _changes(dataset, rows) if dataset else {}
    images = {row.path: row for row in rows.itertuples()}
    found = []
    for tile in tiles:
        found.append(replace(tile, first=True))
        found += [
            _neighbour(run, tile, images[one.path], one, changes.get(one.path, ""))
            for one in near.beside.get(tile.id, ())
            if one.path in images
        ]
    return found


def _neighbour(run: Run, beside: Tile, image: Any, near: Near, change: str) -> Tile:
    return Tile(
        id=f"{beside.id}{_BESIDE}{image.path}",
        src=thumbnails.url(run.config.data.dataset, image.content_hash),
        alt=f"training image {image.label} near {beside.id}: {image.path}",
        caption=f"trained as {image.label}",
        note=f"distance {significant(near.distance)}",
        mark=change,
        pixel_art=max(image.width, image.height) < PIXEL_ART_BELOW,
    )


def _path(tile_id: str) -> str:
    return tile_id.rpartition(_BESIDE)[2]


def _tiles(run: Run, dataset_id: str, shown: pd.DataFrame, changes: dict[str, str]) -> list[Tile]:
    known = readers.run_rows(run).set_index("path").loc[shown["path"], ["content_hash", "width", "height"]]
    return [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset_id, image.content_hash),
            alt=f"true {row.label}, predicted {row.predicted}: {row.path}",
            caption=f"true {row.label}",
            note=f"predicted {row.predicted}, {percent(row.confidence)}",
            wrong=row.label != row.predicted,
            mark=changes.get(row.path, ""),
            pixel_art=max(image.width, image.height) < PIXEL_ART_BELOW,
        )
        for row, image in zip(shown.itertuples(), known.itertuples(), strict=True)
    ]


def _dataset(workspace: Workspace, dataset_id: str) -> Dataset | None:
    """The dataset as it is today, or None where it was removed."""
    try:
        return open_dataset(workspace, dataset_id)
    except DarkroomError:
        return None


def _changes(dataset: Dataset, shown: pd.DataFrame) -> dict[str, str]:
    """What was done to these images since the run, as a word each; those that are as it saw them are left out."""
    rows, seen = readers.dataset_rows(dataset), dict(zip(shown["path"], shown["label"], strict=True))
    now = rows.loc[rows["path"].isin(list(seen)).to_numpy(), ["path", "label", "excluded"]]
    return {
        row.path: "excluded" if row.excluded else f"now {row.label}"
        for row in now.itertuples()
        if row.excluded or row.label != seen[row.path]
    }
