"""Divides a dataset into train, val and test: seeded, class by class, without leaks, whatever the order of its rows."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.config import SplitConfig, TrainConfig
from core.data.carve import TRAIN, Parts, carve
from core.data.leaks import NEEDED, SPLITS, Leaks, count_leaks
from core.data.manifest import require_two_classes, usable
from core.data.stored import Dataset, open_dataset
from core.data.units import components, duplicate_keys, source_keys
from core.errors import InputError
from core.wording import count
from core.workspace import Workspace

__all__ = [
    "Division",
    "Leaks",
    "assign_splits",
    "class_table",
    "count_leaks",
    "divide",
    "membership",
    "split_dataset",
    "take_share",
]

_MOST_NAMED = 10
SET_ASIDE = "set aside"


@dataclass(frozen=True)
class Division:
    """A version of a dataset, divided; what a run is trained and tested on."""

    dataset: Dataset
    manifest: pd.DataFrame
    leaks: Leaks

    def about(self) -> dict[str, Any]:
        """What a run keeps of where its images come from, as plain values."""
        return {
            "dataset_fingerprint": self.dataset.fingerprint,
            "num_edits": self.dataset.num_edits,
            "num_excluded": self.dataset.num_excluded,
            "leaks": asdict(self.leaks),
        }


def assign_splits(manifest: pd.DataFrame, config: SplitConfig) -> pd.DataFrame:
    """A copy of the manifest with `split` set to train, val or test; missing for what is used for nothing.

    Images that belong together (see `core.data.units`) are one unit, and a unit is never divided. What split folders
    say is kept: of a unit with images in the test folder, those elsewhere are set aside (their split is missing), and
    likewise for the validation folder, so the test folder is what it was. A split that has no folder is taken from
    the training images: of each class `val_fraction` and `test_fraction` of its images, rounded, at least one unit, as
    near as whole units come to it. A unit's place is drawn from the seed and its content, so adding images moves few
    others.

    Raises:
        InputError: some class has too few units, with the numbers, there is one class only, or there are no groups of
            the kind asked for.
    """
    places = np.flatnonzero(_is_usable(manifest))
    rows = manifest[NEEDED].iloc[places].reset_index(drop=True)
    if rows.empty:
        raise InputError("No image is left to divide: all are unreadable or excluded.", "Restore some.")
    require_two_classes(rows["label"])
    units = held_together(rows, config)
    split = _given(rows["split"], units)
    pool = np.flatnonzero(split == TRAIN)
    missing = [name for name in ("test", "val") if not (split == SPLITS.index(name)).any()]
    labels, classes = pd.factorize(rows["label"], sort=True)
    parts = _parts(rows.iloc[pool], units[pool], labels[pool], len(classes), config)
    _require_enough(pd.Series(parts.num_units(), classes), 1 + len(missing), config)
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    carved = carve(parts, {SPLITS.index(name): fractions[name] for name in missing})
    if carved.lacking is not None:
        label, where = classes[carved.lacking[0]], SPLITS[carved.lacking[1]]
        raise InputError(
            f"The groups cannot be divided so that {where} has images of {label!r} too: its "
            f"{count(int(parts.num_units()[carved.lacking[0]]), 'group')} hold other classes' only images there.",
            "Use smaller groups, or add images of it.",
        )
    split[pool] = carved.split[parts.unit_of_row]
    numbers = np.full(len(manifest), -1, np.int8)
    numbers[places] = split
    names = pa.DictionaryArray.from_arrays(pa.array(numbers, mask=numbers < 0), list(SPLITS)).cast(pa.large_string())
    return manifest.assign(split=pd.Series(names, manifest.index, dtype="str"))


def held_together(rows: pd.DataFrame, config: SplitConfig) -> np.ndarray:
    """The unit of each row, numbered from 0; raises `InputError` where there are no groups of the kind asked for."""
    return components(len(rows), [*duplicate_keys(rows, config.keep_together), source_keys(rows, config)])


def divide(ws: Workspace, config: TrainConfig, like: pd.DataFrame | None = None) -> Division:
    """`config.data.dataset`, as it is now, divided by `config.split`; see `assign_splits`.

    Args:
        like: a divided manifest of the same dataset; what it has a split for stays in that one.

    Raises:
        InputError: there is no such dataset, its folder is gone, or it cannot be divided so.
    """
    dataset = open_dataset(ws, config.data.dataset)
    if not dataset.root.is_dir():
        raise InputError(
            f"The folder of dataset {dataset.name}, {dataset.root}, is no longer there.",
            "Put it back, or index it again from where it is now.",
        )
    manifest = dataset.manifest()
    if like is not None:
        manifest = manifest.assign(split=_as_before(manifest, like))
    manifest = assign_splits(manifest, config.split)
    leaks = count_leaks(manifest, config.split)
    if config.data.train_share < 1:
        set_aside = leaks.num_set_aside
        manifest = take_share(manifest, config.data.train_share, config.runtime.seed)
        leaks = count_leaks(manifest, config.split)
        leaks = replace(leaks, num_set_aside=set_aside, num_left_out=leaks.num_set_aside - set_aside)
    return Division(dataset, manifest, leaks)


def _as_before(manifest: pd.DataFrame, like: pd.DataFrame) -> pd.Series:
    """The split of each image where `like` has one for the same file and content, else what its source says."""
    known = like.loc[like["split"].notna(), ["path", "content_hash", "split"]].drop_duplicates("path")
    rows = manifest[["path", "content_hash"]].merge(known, on=["path", "content_hash"], how="left")
    return pd.Series(rows["split"].to_numpy(), manifest.index, dtype="str").fillna(manifest["split"])


def take_share(manifest: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """A copy of a divided manifest that trains on `share` of each class's training images, rounded, at least one.

    The others' split is missing; validation and test stay as they are. Which ones are kept is drawn from the seed and
    the images themselves, so of one seed a smaller share is a part of every larger one.
    """
    places = np.flatnonzero((manifest["split"] == SPLITS[TRAIN]).to_numpy() & _is_usable(manifest))
    rows = manifest[["path", "label", "content_hash"]].iloc[places]
    label, classes = pd.factorize(rows["label"])
    lots = _draws(rows["content_hash"] + "\0" + rows["path"] + "\0share", seed)
    order = np.lexsort((lots, label))
    sizes = np.bincount(label, minlength=len(classes))
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its class
    most = np.maximum(1, np.round(share * sizes))
    thinned = manifest.copy()
    thinned.iloc[places[order[rank >= most[label[order]]]], thinned.columns.get_loc("split")] = None
    return thinned


def split_dataset(ws: Workspace, config: TrainConfig) -> pd.DataFrame:
    """The divided manifest alone; see `divide`."""
    return divide(ws, config).manifest


def class_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """Images of each class in each split of a divided manifest: label, train, val, test, set aside; by label."""
    rows = usable(manifest[["label", "split", "error", "excluded"]])
    table = pd.crosstab(rows["label"], rows["split"].fillna(SET_ASIDE)).reindex(columns=[*SPLITS, SET_ASIDE])
    return table.fillna(0).astype(int).rename_axis(index="label", columns=None).reset_index()


def membership(manifest: pd.DataFrame, config: SplitConfig) -> pd.DataFrame:
    """Which image is where, of a divided manifest: path, label, split, group.

    `group` is a number shared by images that were kept together, missing for one by itself; `split` is missing for
    one set aside.
    """
    rows = usable(manifest[NEEDED]).reset_index(drop=True)
    units = held_together(rows, config)
    group = pd.Series(units).where(np.bincount(units)[units] > 1).astype("Int64")
    return rows[["path", "label", "split"]].assign(group=group)


def _is_usable(manifest: pd.DataFrame) -> np.ndarray:
    return (manifest["error"].isna() & ~manifest["excluded"]).to_numpy()


def _given(split: pd.Series, units: np.ndarray) -> np.ndarray:
    """The place split folders give each row, as its number in SPLITS; -1 for one that is set aside.

    Images of no split folder count as training images.
    """
    given = pd.Index(SPLITS).get_indexer(split)
    given[given < 0] = TRAIN
    for name in ("test", "val"):  # test first: it is what must stay as it is
        place = SPLITS.index(name)
        in_it = np.zeros(units.max() + 1, bool)
        in_it[units[given == place]] = True
        given[in_it[units] & (given != place) & (given != SPLITS.index("test"))] = -1
    return given


def _parts(rows: pd.DataFrame, units: np.ndarray, labels: np.ndarray, num_classes: int, config: SplitConfig) -> Parts:
    """The units of the training images in an order of their own: drawn from the seed and what they hold."""
    unit_of_row = np.unique(units, return_inverse=True)[1]
    num_units = int(unit_of_row.max(initial=-1)) + 1
    first = np.empty(num_units, np.int64)  # the row that speaks for a unit: a draw of its own for each
    first[unit_of_row] = np.arange(len(rows))
    several = np.flatnonzero(np.bincount(unit_of_row, minlength=num_units)[unit_of_row] > 1)
    together = rows[["content_hash", "path"]].iloc[several].assign(unit=unit_of_row[several], row=several)
    lowest = together.sort_values(["content_hash", "path"]).drop_duplicates("unit")
    first[lowest["unit"]] = lowest["row"]
    speaking = rows.iloc[first]
    # Where nothing is kept together copies must not draw the same lot, or they would mostly stay together after all.
    texts = speaking["content_hash"]
    texts = texts + "\0" + speaking["path"] if config.keep_together == "off" else texts
    return Parts(unit_of_row, labels, num_classes, _draws(texts, config.seed))


def _draws(texts: pd.Series, seed: int) -> np.ndarray:
    """One lot a text, uint64: which ones are low depends on the seed and the text alone."""
    key = seed.to_bytes(8, "little")
    lots = (hashlib.blake2b(one.encode(), digest_size=8, key=key).digest() for one in texts.tolist())
    return np.frombuffer(b"".join(lots), "<u8")


def _require_enough(num_units: pd.Series, least: int, config: SplitConfig) -> None:
    short = num_units[num_units < least].sort_index()
    if short.empty:
        return
    what = "different readable image" if config.group_by in ("auto", "none") else "group of images"
    named = ", ".join(f"{label!r} has {number}" for label, number in short.head(_MOST_NAMED).items())
    more = f" and {len(short) - _MOST_NAMED:,} more classes too few" if len(short) > _MOST_NAMED else ""
    raise InputError(
        f"Every class needs at least {count(least, what, what.replace(' of', 's of') if ' of' in what else '')} to be "
        f"divided: {named}{more}.",
        "Add images to these classes and index them again, or relabel or exclude those they have."
        if config.group_by in ("auto", "none")
        else "Use smaller groups (another split.group_by or pattern), or add images to these classes.",
    )
