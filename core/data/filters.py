"""Which images of a dataset are looked at: filters that combine, fit into an address and stay quick at a million."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.data.checks import CHECKS
from core.wording import bytes_size, significant

Excluded = Literal["hide", "show", "only"]


@dataclass(frozen=True)
class Measure:
    """A figure known of every image.

    Attributes:
        title: what it is called.
        unit: what it is given in; empty for plain figures.
        whole: whether it is a whole number.
        meaning: what it is, in one sentence.
        zero_to_one: whether it lies between 0 and 1.
    """

    title: str
    unit: str
    whole: bool
    meaning: str
    zero_to_one: bool = False


# Column, and name in an address -> what it is. `aspect` and `megapixels` are worked out from width and height.
MEASURES: dict[str, Measure] = {
    "width": Measure("Width", "pixels", True, "Upright, as the image is seen."),
    "height": Measure("Height", "pixels", True, "Upright, as the image is seen."),
    "aspect": Measure("Aspect ratio", "width : height", False, "1 is square, 2 is twice as wide as tall."),
    "megapixels": Measure("Resolution", "megapixels", False, "Width times height, in millions of pixels."),
    "num_bytes": Measure("File size", "bytes", True, "Of the file on disk."),
    "brightness": Measure("Brightness", "", False, "Mean of all pixels: 0 is black, 1 is white.", True),
    "contrast": Measure("Contrast", "", False, "Standard deviation of brightness: 0 is one flat grey."),
    "sharpness": Measure("Sharpness", "", False, "How strong the finest edges are: blurred images have little."),
    "entropy": Measure("Information", "", False, "Entropy of the grey values: near 0 is nearly one flat colour."),
    "colourfulness": Measure("Colourfulness", "", False, "How far colours are from grey: 0 is grey."),
    **{
        f"{check.name}_score": Measure(f"{check.title}: score", "", False, "1 is fine, 0 the worst.", True)
        for check in CHECKS
    },
    "label_issue_score": Measure("Label: score", "", False, "1 is a label that fits, 0 one that does not.", True),
    "map_x": Measure("Map: across", "", False, "Place on the map."),
    "map_y": Measure("Map: up", "", False, "Place on the map."),
    "pca_x": Measure("PCA: across", "", False, "Place on the map of principal components."),
    "pca_y": Measure("PCA: up", "", False, "Place on the map of principal components."),
}
# Name in an address -> title; the column is `is_<name>`.
FLAGS: dict[str, str] = {check.name: check.title for check in CHECKS} | {"label_issue": "Suspicious label"}
NO_SPLIT = "none"  # images whose source gives no split
SPLIT_NAMES = {"train": "Training", "val": "Validation", "test": "Test", NO_SPLIT: "Not given"}
SPLITS = tuple(SPLIT_NAMES)

_LISTS = {"class": "classes", "split": "splits", "format": "formats", "mode": "modes", "flag": "flags"}
_COLUMNS = {"classes": "label", "splits": "split", "formats": "format", "modes": "mode"}
# Every parameter of an address that filters.
PARAMETERS: tuple[str, ...] = (*_LISTS, "find", "edited", "excluded", *MEASURES)


@dataclass(frozen=True)
class Range:
    """`low <= value < high` in a column of `MEASURES`; None leaves that side open. Unknown values are outside."""

    column: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Filters:
    """What an image must be to be shown: one of each list that is not empty, and within every range.

    Attributes:
        classes: of `label`; `splits`, `formats` and `modes` are likewise of their columns. `NO_SPLIT` is an image
            without a split.
        flags: of `FLAGS`; an image needs one of them.
        text: must occur in the path, whatever its case.
        edited: only images whose label a user changed.
        excluded: whether images that a user took out are hidden, shown with the others, or shown alone.
        ranges: at most one a column.
    """

    classes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    text: str = ""
    edited: bool = False
    excluded: Excluded = "hide"
    ranges: tuple[Range, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything is filtered beyond hiding what was excluded."""
        return self != Filters()

    def mask(self, frame: pd.DataFrame) -> np.ndarray:
        """Which rows pass, bool of shape (rows,). Files that cannot be read never do."""
        keep = frame["error"].isna().to_numpy(copy=True)
        if self.excluded != "show" and "excluded" in frame:
            taken_out = frame["excluded"].to_numpy()
            keep &= taken_out if self.excluded == "only" else ~taken_out
        for name, column in _COLUMNS.items():
            if wanted := getattr(self, name):
                keep &= _one_of(frame[column], wanted)
        if self.flags:
            flagged = [frame[f"is_{flag}"].to_numpy() for flag in self.flags if f"is_{flag}" in frame]
            keep &= np.logical_or.reduce(flagged) if flagged else False
        if self.edited:
            keep &= _differs(frame["label"], frame["source_label"])
        for one in self.ranges:
            if not has_measure(frame, one.column):
                return np.zeros(len(frame), bool)
            values = measured(frame, one.column)
            if one.low is not None:
                keep &= values >= one.low
            if one.high is not None:
                keep &= values < one.high
            if one.low is None and one.high is None:
                keep &= ~np.isnan(values)
        if self.text:
            keep &= _contains(frame["path"], self.text)
        return keep

    def within(self, column: str) -> Range | None:
        """The range a column is held to, None where it is not."""
        return next((one for one in self.ranges if one.column == column), None)

    def with_range(self, column: str, low: float | None, high: float | None) -> Filters:
        """These filters with the column held to that range; with both sides open it is free again."""
        others = tuple(one for one in self.ranges if one.column != column)
        return replace(self, ranges=others if low is None and high is None else (*others, Range(column, low, high)))

    def to_query(self) -> dict[str, str]:
        """As parameters of an address; a filter that is off has none."""
        query = {name: _joined(getattr(self, field)) for name, field in _LISTS.items() if getattr(self, field)}
        if self.text:
            query["find"] = self.text
        if self.edited:
            query["edited"] = "yes"
        if self.excluded != "hide":
            query["excluded"] = self.excluded
        return query | {one.column: f"{_figure(one.low)}..{_figure(one.high)}" for one in self.ranges}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Filters:
        """From the parameters of an address; others, and what makes no sense, are passed over."""
        lists = {field: _parted(query.get(name, "")) for name, field in _LISTS.items()}
        lists["flags"] = tuple(flag for flag in lists["flags"] if flag in FLAGS)
        lists["splits"] = tuple(split for split in lists["splits"] if split in SPLITS)
        excluded = query.get("excluded", "hide")
        ranges = (_range(column, query[column]) for column in MEASURES if column in query)
        return cls(
            **lists,
            text=query.get("find", ""),
            edited=query.get("edited") == "yes",
            excluded=excluded if excluded in get_args(Excluded) else "hide",
            ranges=tuple(one for one in ranges if one),
        )

    def described(self) -> list[tuple[str, Filters]]:
        """Each filter that is on, in words, with the filters that remain without it."""
        blank = Filters()
        said = []
        for title, field, names in (
            ("Class", "classes", {}),
            ("Split", "splits", SPLIT_NAMES),
            ("Format", "formats", {}),
            ("Colour mode", "modes", {}),
            ("Found", "flags", FLAGS),
        ):
            for value in getattr(self, field):
                rest = tuple(other for other in getattr(self, field) if other != value)
                said.append((f"{title}: {names.get(value, value)}", replace(self, **{field: rest})))
        if self.text:
            said.append((f"Path has: {self.text}", replace(self, text=blank.text)))
        if self.edited:
            said.append(("Label was changed", replace(self, edited=False)))
        if self.excluded != "hide":
            words = {"show": "With excluded images", "only": "Excluded images only"}[self.excluded]
            said.append((words, replace(self, excluded="hide")))
        for one in self.ranges:
            said.append((range_in_words(one), self.with_range(one.column, None, None)))
        return said


assert {field.name for field in fields(Filters)} >= set(_LISTS.values())


def measured(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column of `MEASURES` for every row; NaN, or 0 for sizes, where the file cannot be read."""
    if column == "aspect":
        return _ratio(frame["width"].to_numpy(np.float32), frame["height"].to_numpy(np.float32))
    if column == "megapixels":
        return frame["width"].to_numpy(np.float32) * frame["height"].to_numpy(np.float32) / np.float32(1e6)
    return frame[column].to_numpy()


def has_measure(frame: pd.DataFrame, column: str) -> bool:
    """Whether `measured` knows that column of this table."""
    return column in MEASURES and (column in frame or column in ("aspect", "megapixels"))


def extent(frame: pd.DataFrame, mask: np.ndarray, column: str) -> tuple[float, float] | None:
    """The least and the greatest value of a measure, None where none is known."""
    values = measured(frame, column)[mask]
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else None


def order(frame: pd.DataFrame, mask: np.ndarray, by: str | None, descending: bool = False) -> np.ndarray:
    """Places of the rows that pass, int32: by a column of `MEASURES`, or by path where that is None.

    Rows are stored in order of path, which also decides between equals. Unknown values come last either way.
    """
    places = np.flatnonzero(mask).astype(np.int32)
    if by is None:
        return places[::-1] if descending else places
    values = measured(frame, by)[places]
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    ranked = _ranked(values[known], descending)
    return np.concatenate([places[known][ranked], places[~known]])


def _ranked(values: np.ndarray, descending: bool) -> np.ndarray:
    """Stable argsort: each value's rank and place in one number, several times faster than numpy's own stable sort."""
    if values.dtype == np.float32:
        bits = (values + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
        keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))  # in the order of the numbers
    elif values.dtype.kind == "i" and len(values) and int(values.max()) - int(values.min()) < 1 << 32:
        keys = (values - values.min()).astype(np.uint32)
    else:
        return np.argsort(-values if descending else values, kind="stable")
    keys = (~keys if descending else keys).astype(np.uint64)
    packed = (keys << np.uint64(32)) | np.arange(len(values), dtype=np.uint64)
    packed.sort()
    return (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)


def value_in_words(column: str, value: float) -> str:
    """A value of a measure as people read it."""
    if column == "num_bytes":
        return bytes_size(value)
    return f"{value:,.0f}" if MEASURES[column].whole else significant(value)


def range_in_words(one: Range) -> str:
    """`Width: 100 to under 200 pixels`."""
    measure = MEASURES[one.column]
    unit = f" {measure.unit}" if measure.unit and one.column not in ("num_bytes", "aspect") else ""
    low, high = (None if side is None else value_in_words(one.column, side) for side in (one.low, one.high))
    if low is None and high is None:
        return f"{measure.title}: known"
    if low is None:
        return f"{measure.title}: under {high}{unit}"
    if high is None:
        return f"{measure.title}: at least {low}{unit}"
    if measure.whole and one.column != "num_bytes" and one.high == one.low + 1:
        return f"{measure.title}: {low}{unit}"
    return f"{measure.title}: {low} to under {high}{unit}"


def _one_of(column: pd.Series, wanted: Sequence[str]) -> np.ndarray:
    named = [value for value in wanted if value != NO_SPLIT or column.name != "split"]
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy()
        # One place a category, and a last one for what is missing, whose code is -1.
        passes = np.append(column.cat.categories.isin(named), len(named) < len(wanted))
        return passes[codes]
    found = column.isin(named).to_numpy()
    return found | column.isna().to_numpy() if len(named) < len(wanted) else found


def _differs(one: pd.Series, other: pd.Series) -> np.ndarray:
    if isinstance(one.dtype, pd.CategoricalDtype) and isinstance(other.dtype, pd.CategoricalDtype):
        shared = one.cat.categories.union(other.cat.categories, sort=False)
        first, second = (shared.get_indexer(each.cat.categories) for each in (one, other))
        return np.append(first, -1)[one.cat.codes] != np.append(second, -1)[other.cat.codes]
    return (one.astype(object) != other.astype(object)).to_numpy() & other.notna().to_numpy()


def _contains(paths: pd.Series, text: str) -> np.ndarray:
    found = pc.match_substring(pa.array(paths), text, ignore_case=True)
    return np.asarray(pc.fill_null(found, False))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan, np.float32), where=below > 0)


def _joined(values: Sequence[str]) -> str:
    return ",".join(value.replace("%", "%25").replace(",", "%2C") for value in values)


def _parted(text: str) -> tuple[str, ...]:
    parts = (part.replace("%2C", ",").replace("%25", "%") for part in text.split(",") if part)
    return tuple(dict.fromkeys(parts))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _range(column: str, text: str) -> Range | None:
    found = re.fullmatch(r"([^.]*(?:\.\d+)?)\.\.(.*)", text.strip())
    if not found:
        return None
    try:
        low, high = (float(side) if side.strip() else None for side in found.groups())
    except ValueError:
        return None
    known = [side for side in (low, high) if side is not None]
    if not known or not all(map(math.isfinite, known)) or (len(known) == 2 and known[0] >= known[1]):
        return None
    return Range(column, low, high)
