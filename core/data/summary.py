"""What Explore shows of a dataset, as plain small tables counted from its columns.

Wherever a `mask` is asked for, it says which rows count, as `core.data.filters.Filters.mask` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.data.filters import MEASURES, measured
from core.data.manifest import usable
from core.errors import InputError

HISTOGRAM_BINS, GRID_BINS = 40, 24
OTHERS = None  # in place of a class: all others together
CHANNELS = ("red", "green", "blue")
# Few different values in many rows: kept as codes, 1 to 4 bytes a row and quick to compare.
_FEW_VALUES = ("label", "source_label", "suggested_label", "split", "mode", "format", "error", "group")
_NOT_SHOWN = ["perceptual_hash"]


def for_pages(frame: pd.DataFrame) -> pd.DataFrame:
    """The manifest as pages hold it: without what they never show, and repeated text as categories."""
    kept = frame.drop(columns=[name for name in _NOT_SHOWN if name in frame])
    return kept.astype({name: "category" for name in _FEW_VALUES if name in kept})


def class_counts(frame: pd.DataFrame, mask: np.ndarray | None = None) -> pd.DataFrame:
    """Images of each class, most first: label, images. A class of which none counts has 0.

    Args:
        mask: if None, every image that can be read and was not excluded.
    """
    labels = _categories(frame["label"])
    counts = labels[_mask(frame, mask)].value_counts(sort=False)
    table = counts.rename_axis("label").reset_index(name="images").astype({"label": "str"})
    return table.sort_values(["images", "label"], ascending=[False, True], ignore_index=True)


def imbalance_ratio(counts: pd.DataFrame) -> float:
    """Images of the largest class over those of the smallest, from `class_counts`.

    1 is balanced; infinite where a class has no readable image.
    """
    if counts.empty:
        return 1.0
    smallest = counts["images"].min()
    return float(counts["images"].max() / smallest) if smallest else float("inf")


def histogram(
    frame: pd.DataFrame, mask: np.ndarray, column: str, classes: Sequence[str | None], num_bins: int = HISTOGRAM_BINS
) -> pd.DataFrame:
    """How many images have which value of a measure: label, low, high, images; every bin once for each class.

    Bins are of one round width, whole numbers for whole measures, `low <= value < high`; the last is open
    (`high` is infinite) and holds the few values far beyond the others too. Unknown values are left out.

    Args:
        column: of `core.data.filters.MEASURES`.
        classes: which to count apart, in this order; None stands for all images of no other class in the list.
    """
    values = measured(frame, column)[mask]
    known = np.isfinite(values)
    values, codes = values[known], _places(frame["label"], classes)[mask][known]
    if not len(values):
        return pd.DataFrame({"label": [], "low": [], "high": [], "images": []}).astype({"images": int, "label": "str"})
    edges = bin_edges(values, num_bins, MEASURES[column].whole)
    num_bins = len(edges) - 1
    counted = codes >= 0
    at = codes[counted] * num_bins + _bin_of(values[counted], edges)
    images = np.bincount(at, minlength=len(classes) * num_bins).reshape(len(classes), -1)
    high = np.append(edges[1:-1], np.inf)
    return pd.concat(
        [
            pd.DataFrame({"label": label, "low": edges[:-1], "high": high, "images": row})
            for label, row in zip(classes, images, strict=True)
        ],
        ignore_index=True,
    ).astype({"label": "str"})


def bin_edges(values: np.ndarray, num_bins: int, whole: bool) -> np.ndarray:
    """Borders of at most about `num_bins` bins of one round width that hold all values but a far tail."""
    low, high = float(values.min()), float(values.max())
    rank = math.ceil(0.995 * (len(values) - 1))
    near = float(np.partition(values, rank)[rank])
    if high - low > 3 * (near - low) > 0:
        high = near
    span = high - low or abs(low) * 1e-3 or 1.0
    step = _round_up(span / num_bins)
    if whole:
        step = max(1.0, step)
    first = math.floor(low / step + 1e-6)
    last = max(first + 1, math.floor(high / step + 1e-6) + 1)
    edges = np.arange(first, last + 1) * step
    # Figures such as 0.30000000000000004 have no place in an address or on an axis.
    return np.round(edges, 12 - math.ceil(math.log10(max(abs(edges[0]), abs(edges[-1]), step))))


def size_grid(frame: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    """How many images have which width and height together: width_low, width_high, height_low, height_high, images.

    Bins are whole pixels, low <= side < high, at most `GRID_BINS` a side; empty cells are left out.
    """
    sides = [frame[side].to_numpy()[mask] for side in ("width", "height")]
    edges = [_pixel_edges(values, GRID_BINS) for values in sides]
    columns, rows = (
        np.searchsorted(borders, values, "right") - 1 for borders, values in zip(edges, sides, strict=True)
    )
    num_rows = len(edges[1]) - 1
    images = np.bincount(columns * num_rows + rows, minlength=(len(edges[0]) - 1) * num_rows).reshape(-1, num_rows)
    column, row = np.nonzero(images)
    return pd.DataFrame(
        {
            "width_low": edges[0][column],
            "width_high": edges[0][column + 1],
            "height_low": edges[1][row],
            "height_high": edges[1][row + 1],
            "images": images[column, row],
        }
    )


def kinds(frame: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    """Formats and colour modes, most first: format, mode, images."""
    formats, modes = _categories(frame["format"]), _categories(frame["mode"])
    names = [list(column.cat.categories) for column in (formats, modes)]
    pairs = formats.cat.codes.to_numpy(np.int64)[mask] * (len(names[1]) + 1) + modes.cat.codes.to_numpy()[mask]
    found, images = np.unique(pairs[pairs >= 0], return_counts=True)
    first, second = np.divmod(found, len(names[1]) + 1)
    table = pd.DataFrame(
        {"format": [names[0][at] for at in first], "mode": [names[1][at] for at in second], "images": images}
    )
    return table.sort_values(["images", "format", "mode"], ascending=[False, True, True], ignore_index=True)


def channel_statistics(frame: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    """Mean and standard deviation of each colour channel over the images, 0..1: channel, mean, std.

    Every image counts alike whatever its size: with its mean m and deviation s the mean is that of m, and the
    deviation sqrt(mean(s^2 + m^2) - mean(m)^2), which is that of all pixels where images have one size.
    """
    rows = []
    for channel in CHANNELS:
        means, stds = (frame[f"{kind}_{channel[0]}"].to_numpy(np.float64)[mask] for kind in ("mean", "std"))
        known = np.isfinite(means) & np.isfinite(stds)
        if known.any():
            mean = means[known].mean()
            variance = (stds[known] ** 2 + means[known] ** 2).mean() - mean**2
            rows.append({"channel": channel, "mean": mean, "std": math.sqrt(max(0.0, variance))})
    return pd.DataFrame(rows, columns=["channel", "mean", "std"])


def sample_of_class(frame: pd.DataFrame, mask: np.ndarray, label: str, most: int, seed: int = 0) -> list[str]:
    """Content hashes of at most `most` images of the class that count, drawn by the seed, in order of path."""
    places = np.flatnonzero(mask & (_places(frame["label"], [label]) == 0))
    if len(places) > most:
        places = np.sort(np.random.default_rng(seed).choice(places, most, replace=False))
    return list(frame["content_hash"].iloc[places])


def rows_at(frame: pd.DataFrame, places: np.ndarray, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of some rows; the rest of a large table is not touched."""
    return pd.DataFrame({name: frame[name].iloc[places] for name in columns if name in frame})


def unreadable(frame: pd.DataFrame) -> pd.DataFrame:
    """Files that could not be read, and why: path, error."""
    rows = frame.loc[frame["error"].notna(), ["path", "error"]].reset_index(drop=True)
    return rows.astype({"error": "str"})


def find_image(frame: pd.DataFrame, path_or_hash: str) -> pd.Series:
    """The row of that path, else the first of that content; what is missing in it is None. Its name is its place.

    Raises:
        InputError: there is none.
    """
    places = np.flatnonzero(frame["path"] == path_or_hash)
    if not len(places):
        places = np.flatnonzero(frame["content_hash"] == path_or_hash)
    if not len(places):
        raise InputError(f"There is no image {path_or_hash!r} in this dataset.", "Open the gallery again.")
    row = pd.Series({name: frame[name].iloc[places[0]] for name in frame}, dtype=object, name=int(places[0]))
    return row.where(row.notna(), None)


def _mask(frame: pd.DataFrame, mask: np.ndarray | None) -> np.ndarray:
    return frame.index.isin(usable(frame).index) if mask is None else mask


def _categories(column: pd.Series) -> pd.Series:
    return column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")


def _places(labels: pd.Series, classes: Sequence[str | None]) -> np.ndarray:
    """For each row the place of its class in the list, that of `OTHERS` where it is not in it, else -1."""
    labels = _categories(labels)
    rest = classes.index(OTHERS) if OTHERS in classes else -1
    place = {label: number for number, label in enumerate(classes) if label is not OTHERS}
    by_code = np.array([*(place.get(label, rest) for label in labels.cat.categories), -1], np.int32)
    return by_code[labels.cat.codes.to_numpy()]


def _bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The place of each value's bin, the last for all beyond: just as comparing with the borders would have it."""
    borders, last = edges.astype(values.dtype), len(edges) - 2
    steps = (values - borders[0]) / (edges[1] - edges[0])
    bins = np.clip(steps, 0, last).astype(np.int32)
    # Arithmetic can err only beside a border; looking up the borders of every value would take longer than all else.
    near = np.flatnonzero(np.abs(steps - np.rint(steps)) < 1e-2)
    close, at = values[near], bins[near]
    at -= (close < borders[at]) & (at > 0)
    at += (close >= borders[at + 1]) & (at < last)
    bins[near] = at
    return bins


def _round_up(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= step * (1 - 1e-9))


def _pixel_edges(values: np.ndarray, most: int) -> np.ndarray:
    """Edges of at most `most` bins of whole pixels that hold all values."""
    low, high = (int(values.min()), int(values.max()) + 1) if len(values) else (0, 1)
    step = -(-(high - low) // most)
    return np.arange(low, high + step, step)
