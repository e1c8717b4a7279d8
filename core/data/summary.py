"""What Explore shows of a dataset, as plain small tables counted from the manifest."""

from __future__ import annotations

import numpy as np
import pandas as pd

from core.data.manifest import usable
from core.errors import InputError

HISTOGRAM_BINS, GRID_BINS = 40, 24


def class_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Readable images of each class, most first: label, images. A class of unreadable files only counts 0."""
    counts = usable(frame)["label"].value_counts().reindex(frame["label"].unique(), fill_value=0)
    table = counts.rename_axis("label").reset_index(name="images")
    return table.sort_values(["images", "label"], ascending=[False, True], ignore_index=True)


def imbalance_ratio(counts: pd.DataFrame) -> float:
    """Images of the largest class over those of the smallest, from `class_counts`.

    1 is balanced; infinite where a class has no readable image.
    """
    if counts.empty:
        return 1.0
    smallest = counts["images"].min()
    return float(counts["images"].max() / smallest) if smallest else float("inf")


def size_histograms(frame: pd.DataFrame) -> pd.DataFrame:
    """How many images have which width and height: side ("width" or "height"), low, high, images.

    Bins are whole pixels, low <= side < high, all of one width, at most `HISTOGRAM_BINS` a side, empty ones included.
    """
    good = usable(frame)
    tables = []
    for side in ("width", "height"):
        edges = _edges(good[side].to_numpy(), HISTOGRAM_BINS)
        images, _ = np.histogram(good[side], edges)
        tables.append(pd.DataFrame({"side": side, "low": edges[:-1], "high": edges[1:], "images": images}))
    return pd.concat(tables, ignore_index=True)


def size_grid(frame: pd.DataFrame) -> pd.DataFrame:
    """How many images have which width and height together: width_low, width_high, height_low, height_high, images.

    Bins are as in `size_histograms`, at most `GRID_BINS` a side; empty cells are left out.
    """
    good = usable(frame)
    widths, heights = (_edges(good[side].to_numpy(), GRID_BINS) for side in ("width", "height"))
    images, _, _ = np.histogram2d(good["width"], good["height"], [widths, heights])
    column, row = np.nonzero(images)
    return pd.DataFrame(
        {
            "width_low": widths[column],
            "width_high": widths[column + 1],
            "height_low": heights[row],
            "height_high": heights[row + 1],
            "images": images[column, row].astype(int),
        }
    )


def gallery_page(frame: pd.DataFrame, label: str | None, page: int, page_size: int) -> tuple[pd.DataFrame, int]:
    """The readable images on one page of the gallery, and how many pages there are (at least 1).

    Args:
        label: one class, or None for all.
        page: from 1; a number beyond either end gives the page at that end.
    """
    mask = frame["error"].isna()
    if label is not None:
        mask &= frame["label"] == label
    places = np.flatnonzero(mask)
    num_pages = max(1, -(-len(places) // page_size))
    page = min(max(page, 1), num_pages)
    return frame.iloc[places[(page - 1) * page_size : page * page_size]], num_pages


def unreadable(frame: pd.DataFrame) -> pd.DataFrame:
    """Files that could not be read, and why: path, error."""
    return frame.loc[frame["error"].notna(), ["path", "error"]].reset_index(drop=True)


def find_image(frame: pd.DataFrame, content_hash: str) -> pd.Series:
    """The first row of that content; what is missing in it is None.

    Raises:
        InputError: there is none.
    """
    places = np.flatnonzero(frame["content_hash"] == content_hash)
    if not len(places):
        raise InputError(f"There is no image {content_hash!r} in this dataset.", "Open the gallery again.")
    row = frame.iloc[places[0]].astype(object)
    return row.where(row.notna(), None)


def _edges(values: np.ndarray, most: int) -> np.ndarray:
    """Edges of at most `most` bins of whole pixels that hold all values."""
    low, high = (int(values.min()), int(values.max()) + 1) if len(values) else (0, 1)
    step = -(-(high - low) // most)
    return np.arange(low, high + step, step)
