"""What must stay on one side of a split: the same image twice, its near twins, and the source's own groups."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.config import SplitConfig
from core.errors import InputError
from core.wording import count

_MOST_NAMED = 5


def duplicate_keys(rows: pd.DataFrame, keep_together: str) -> list[np.ndarray]:
    """Groupings of `rows` by content: each an array of group numbers, -1 for an image that is alone.

    Args:
        keep_together: `exact` for files of the same bytes, `near` for images that look the same too, `off` for none.
    """
    if keep_together == "off":
        return []
    exact = pd.factorize(rows["content_hash"])[0]
    return [_alone_as_none(exact)] + (
        [_alone_as_none(rows["near_group"].to_numpy())] if keep_together == "near" else []
    )


def source_keys(rows: pd.DataFrame, config: SplitConfig) -> np.ndarray:
    """The group of each of `rows` after `config.group_by`, -1 for an image that belongs to none.

    Raises:
        InputError: the dataset has no such groups, or the pattern is none.
    """
    if config.group_by == "none" or (config.group_by == "auto" and rows["group"].isna().all()):
        return np.full(len(rows), -1)
    find = {"auto": _column, "column": _column, "folder": _folders, "pattern": _matches}[config.group_by]
    names = find(rows, config)
    return pd.factorize(names)[0]


def components(num_rows: int, keys: list[np.ndarray]) -> np.ndarray:
    """Numbers 0.. of the sets of rows held together by any of `keys`, directly or through others.

    Args:
        keys: group numbers of the rows, -1 for none; each of shape (num_rows,).
    """
    lowest = np.arange(num_rows)
    groupings = [_compact(key) for key in keys]
    while True:
        before = lowest.copy()
        for places, groups, num_groups in groupings:
            least = np.full(num_groups, num_rows)
            np.minimum.at(least, groups, lowest[places])
            lowest[places] = least[groups]
        lowest = lowest[lowest]  # everything a row points at has moved on too
        if (lowest == before).all():
            return np.unique(lowest, return_inverse=True)[1]


def _compact(key: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows that have a group, their groups numbered from 0, and how many groups there are."""
    places = np.flatnonzero(key >= 0)
    names, groups = np.unique(key[places], return_inverse=True)
    return places, groups, len(names)


def _alone_as_none(key: np.ndarray) -> np.ndarray:
    """Groups of one row become -1: they hold nothing together, and most rows are in such a group."""
    places = np.flatnonzero(key >= 0)
    sizes = np.bincount(key[places]) if len(places) else np.zeros(0, int)
    several = np.full(len(key), -1)
    kept = places[sizes[key[places]] > 1]
    several[kept] = key[kept]
    return several


def _column(rows: pd.DataFrame, config: SplitConfig) -> pd.Series:
    if rows["group"].isna().all():
        raise InputError(
            "split.group_by = column, but this dataset's source names no groups.",
            "Add a column `group` to the manifest file it comes from, or use folder, pattern or none.",
        )
    return rows["group"]


def _folders(rows: pd.DataFrame, config: SplitConfig) -> pd.Series:
    """The folder of each image below its class's folder; missing for an image that lies in the class's folder itself.

    The same name below two classes is one group: a patient may have images of both.
    """
    parents = _arrow(pc.replace_substring_regex(pa.array(rows["path"], pa.large_string()), "/?[^/]*$", ""), rows)
    labels = rows["source_label"].fillna(rows["label"])
    (parent_codes, parent_names), (label_codes, label_names) = pd.factorize(parents), pd.factorize(labels)
    pairs, place_of_row = np.unique(parent_codes * len(label_names) + label_codes, return_inverse=True)
    distinct = pd.DataFrame(
        {"parent": parent_names[pairs // len(label_names)], "label": label_names[pairs % len(label_names)]}
    )
    below = [_below(*place) for place in zip(distinct["parent"].tolist(), distinct["label"].tolist(), strict=True)]
    distinct = distinct.assign(group=pd.Series(below, distinct.index, dtype="str"))
    folders = distinct.groupby("label").agg(folders=("parent", "nunique"), named=("group", "count"))
    flat = folders.index[(folders["folders"] == 1) | (folders["named"] == 0)].tolist()
    if flat:
        more = f" and {count(len(flat) - _MOST_NAMED, 'more class', 'more classes')}" if len(flat) > _MOST_NAMED else ""
        raise InputError(
            f"split.group_by = folder, but all images of {', '.join(map(repr, flat[:_MOST_NAMED]))}{more} are in one "
            "folder, so there is nothing to divide.",
            "Put each patient, video or burst in a folder of its own below the class's, or use pattern or none.",
        )
    return distinct["group"].iloc[place_of_row]


def _below(parent: str, label: str) -> str | None:
    """`p7/left` for `train/cat/p7/left` of class cat; the whole parent where no folder is called as the class is."""
    parts, wanted = parent.split("/"), label.split("/")
    for start in range(len(parts) - len(wanted) + 1):
        if parts[start : start + len(wanted)] == wanted:
            return "/".join(parts[start + len(wanted) :]) or None
    return parent or None


def _matches(rows: pd.DataFrame, config: SplitConfig) -> pd.Series:
    """What the pattern finds in each path: its first group, or all it matches; missing where it matches nothing.

    Matched by RE2, whose time grows with the text and not with what a pattern may ask for.
    """
    pattern = config.group_pattern
    num_groups = checked_pattern(pattern)
    paths = pa.array(rows["path"], pa.large_string())
    whole = f"(?s)^.*?(?:{pattern}).*$" if num_groups else f"(?s)^.*?({pattern}).*$"
    try:
        found = pc.match_substring_regex(paths, pattern)
        names = pc.replace_substring_regex(paths, whole, r"\1")
    except pa.ArrowInvalid as error:
        raise InputError(
            f"split.group_pattern = {pattern!r} cannot be used ({error}).",
            "Looking ahead or behind and references back are not supported.",
        ) from error
    found = pc.and_(found, pc.not_equal(names, ""))
    if not pc.any(found).as_py():
        raise InputError(
            f"split.group_pattern = {pattern!r} matches no path, such as {rows['path'].iloc[0]!r}.",
            "Paths are relative to the dataset's folder. Correct the pattern or use split.group_by = none.",
        )
    return _arrow(pc.if_else(found, names, None), rows)


def _arrow(texts: pa.Array, rows: pd.DataFrame) -> pd.Series:
    return pd.Series(texts, rows.index, dtype="str")


def checked_pattern(pattern: str) -> int:
    """How many groups a regular expression has; raises `InputError` where it is none."""
    try:
        return re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(
            f"split.group_pattern = {pattern!r} is no regular expression ({error}).",
            r"For example (patient\d+) takes patient12 from cat/patient12_3.jpg.",
        ) from error
