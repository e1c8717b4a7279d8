"""Divides a dataset into train, val and test: seeded, class by class, the same whatever the order of its rows."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from core.config import SplitConfig, TrainConfig
from core.data.manifest import require_two_classes, usable
from core.data.stored import open_dataset
from core.errors import InputError
from core.wording import count
from core.workspace import Workspace

_MOST_NAMED = 10


def assign_splits(manifest: pd.DataFrame, config: SplitConfig) -> pd.DataFrame:
    """A copy of the manifest with `split` set to train, val or test for every readable file, and missing for others.

    What split folders say is kept; a split that has no folder is taken from the training images. Of each class,
    `val_fraction` and `test_fraction` of its images, rounded, at least one, go to val and test. An image's place is
    drawn from the seed and its content, so adding images moves few others, and files of identical content within a
    class count as one image and stay together: no test image was seen in training under another name.

    Raises:
        InputError: some class has too few different images, with the numbers, or there is one class only.
    """
    good = usable(manifest)
    require_two_classes(good["label"])
    given = good["split"].where(good["split"].isin(["train", "val", "test"]), "train")
    missing = [split for split in ("test", "val") if not (given == split).any()]
    pool = good[given == "train"]
    distinct = pool.drop_duplicates(["label", "content_hash"])
    num_distinct = distinct["label"].value_counts().reindex(good["label"].unique(), fill_value=0)
    _require_enough(num_distinct, 1 + len(missing))

    drawn = distinct[["label", "content_hash"]].assign(draw=_draws(distinct["content_hash"], config.seed))
    rank = drawn.groupby("label")["draw"].rank(method="first")
    fractions = {"val": config.val_fraction, "test": config.test_fraction}
    drawn["split"] = "train"
    begin = pd.Series(0, index=num_distinct.index)
    for split, sizes in _sizes(num_distinct, {split: fractions[split] for split in missing}).items():
        end = begin + sizes
        chosen = (rank > drawn["label"].map(begin)) & (rank <= drawn["label"].map(end))
        drawn.loc[chosen, "split"] = split
        begin = end

    carved = pool[["label", "content_hash"]].merge(drawn, on=["label", "content_hash"], how="left", validate="m:1")
    given.loc[pool.index] = carved["split"].to_numpy()
    return manifest.assign(split=given.reindex(manifest.index).astype("str"))


def split_dataset(ws: Workspace, config: TrainConfig) -> pd.DataFrame:
    """The manifest of `config.data.dataset` divided by `config.split`; see `assign_splits`.

    Raises:
        InputError: there is no such dataset, its folder is gone, or a class has too few images.
    """
    dataset = open_dataset(ws, config.data.dataset)
    if not dataset.root.is_dir():
        raise InputError(
            f"The folder of dataset {dataset.name}, {dataset.root}, is no longer there.",
            "Put it back, or index it again from where it is now.",
        )
    return assign_splits(dataset.manifest(), config.split)


def _draws(content_hashes: pd.Series, seed: int) -> np.ndarray:
    """One lot an image, uint64: which ones are low depends on the seed and the content alone."""
    key = seed.to_bytes(8, "little")
    lots = (hashlib.blake2b(one.encode(), digest_size=8, key=key).digest() for one in content_hashes.tolist())
    return np.frombuffer(b"".join(lots), "<u8")


def _sizes(num_distinct: pd.Series, fractions: dict[str, float]) -> dict[str, pd.Series]:
    """Images of each class for each split: rounded, at least one, and never the last training image."""
    sizes = {split: (num_distinct * share + 0.5).astype(int).clip(lower=1) for split, share in fractions.items()}
    for split in sizes:
        too_many = (sum(sizes.values()) - (num_distinct - 1)).clip(lower=0)
        sizes[split] = (sizes[split] - too_many).clip(lower=1)
    return sizes


def _require_enough(num_distinct: pd.Series, least: int) -> None:
    short = num_distinct[num_distinct < least].sort_index()
    if short.empty:
        return
    named = ", ".join(f"{label!r} has {number}" for label, number in short.head(_MOST_NAMED).items())
    more = f" and {len(short) - _MOST_NAMED:,} more classes too few" if len(short) > _MOST_NAMED else ""
    raise InputError(
        f"Every class needs at least {count(least, 'different readable image')} to be divided: {named}{more}.",
        "Add images to these classes or take the classes out of the folder, then index it again.",
    )
