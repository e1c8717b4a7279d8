"""A gallery of classified images: what each is, what the model took it for, and how sure it was."""

from __future__ import annotations

import pandas as pd

from core.data import thumbnails
from core.runs.store import Run
from core.wording import percent
from pages._components import keys, readers
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery

IMAGES_A_PAGE = 48


def predicted_images(run: Run, images: pd.DataFrame, key: str) -> None:
    """Draw one page of `images`, rows of the predictions table; a click opens the image's own view."""
    page = keys.page_of(len(images), IMAGES_A_PAGE, keys.PAGE)
    shown = images.iloc[(page - 1) * IMAGES_A_PAGE : page * IMAGES_A_PAGE]
    if shown.empty:
        return
    dataset_id = run.config.data.dataset
    known = readers.run_rows(run).set_index("path").loc[shown["path"], ["content_hash", "width", "height"]]
    tiles = [
        Tile(
            id=image.content_hash,
            src=thumbnails.url(dataset_id, image.content_hash),
            alt=f"true {row.label}, predicted {row.predicted}: {row.path}",
            caption=f"true {row.label}",
            note=f"predicted {row.predicted}, {percent(row.confidence)}",
            wrong=row.label != row.predicted,
            pixel_art=max(image.width, image.height) < PIXEL_ART_BELOW,
        )
        for row, image in zip(shown.itertuples(), known.itertuples(), strict=True)
    ]
    picked = gallery(tiles, "Classified images", key=f"{key}-gallery")
    if picked:
        keys.open_image(dataset_id, picked, keys.EVALUATE)
