"""Leaks between splits: duplicates, near duplicates and the source's groups that stand on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.config import SplitConfig
from core.data.manifest import usable, with_all_columns
from core.data.units import components, duplicate_keys, source_keys
from core.wording import count

SPLITS = ("train", "val", "test")
NEEDED = [
    *("path", "label", "split", "content_hash", "error", "group", "excluded", "source_label", "near_group"),
    "brightness",
]


@dataclass(frozen=True)
class Leaks:
    """What could flatter a test score, counted among readable images that were not excluded.

    A group of duplicates is a set of images held together by being copies or looking the same, directly or through
    others. One that is of the same bytes throughout is exact, any other near.

    Attributes:
        num_groups: groups of two or more duplicates; exact and near ones below.
        num_straddling: those of them that have images in more than one split.
        num_source_groups: groups of two or more images by folder, pattern or column; 0 where none are known.
        num_source_straddling: those of them that have images in more than one split.
        num_ungrouped: images in no such group though there was one to look for, each a group by itself.
        num_set_aside: images in no split, as others of their group are in a test or validation folder.
        num_left_out: training images left out by data.train_share.
        num_test_affected: test images that have another of their group in training or validation.
        near_known: whether near duplicates were looked for, which indexes of earlier versions did not.
    """

    num_groups: int = 0
    num_straddling: int = 0
    num_exact_groups: int = 0
    num_exact_straddling: int = 0
    num_near_groups: int = 0
    num_near_straddling: int = 0
    num_source_groups: int = 0
    num_source_straddling: int = 0
    num_ungrouped: int = 0
    num_set_aside: int = 0
    num_left_out: int = 0
    num_test_affected: int = 0
    near_known: bool = True

    @property
    def any_straddling(self) -> bool:
        return bool(self.num_straddling or self.num_source_straddling)

    def sentence(self) -> str:
        """All that is to be said beside a test score, in words."""
        words = [self._duplicates()]
        if self.num_source_groups:
            words.append(_both_sides(self.num_source_groups, self.num_source_straddling, "group by its source"))
        if self.num_test_affected:
            words.append(
                f"{count(self.num_test_affected, 'test image')} {'has' if self.num_test_affected == 1 else 'have'} "
                "such company in training or validation, so the test score flatters."
            )
        if self.num_set_aside:
            words.append(
                f"{count(self.num_set_aside, 'image')} set aside, as the test or validation folder holds others of "
                "their group."
            )
        if self.num_left_out:
            words.append(f"{count(self.num_left_out, 'training image')} left out by data.train_share.")
        if self.num_ungrouped:
            words.append(f"{count(self.num_ungrouped, 'image')} in no group, each taken by itself.")
        if not self.near_known:
            words.append("Near duplicates were not looked for: index the images again.")
        return " ".join(words)

    def _duplicates(self) -> str:
        if not self.num_groups:
            return "No duplicates among these images." if self.near_known else "No exact duplicates among these images."
        kinds = f" ({count(self.num_exact_straddling)} exact, {count(self.num_near_straddling)} near)"
        return _both_sides(self.num_groups, self.num_straddling, "group of duplicates", kinds)


def count_leaks(manifest: pd.DataFrame, config: SplitConfig | None = None) -> Leaks:
    """Count the groups of a divided manifest, however it was divided.

    Args:
        manifest: with `split` as `assign_splits` leaves it.
        config: what the source's groups are. Where it asks for none, those of the column `group` are counted if the
            manifest has them.
    """
    rows, split = _with_splits(manifest)
    duplicates, source = _groupings(rows, config)
    sizes, in_splits = _by_group(duplicates, split)
    several = sizes > 1
    straddling = several & (np.bitwise_count(in_splits) > 1)
    exact = several & _same_bytes(duplicates, rows["content_hash"], several)
    source_sizes, source_in_splits = _by_group(source, split)
    source_straddling = (source_sizes > 1) & (np.bitwise_count(source_in_splits) > 1)

    elsewhere = _also_elsewhere(duplicates, in_splits)
    elsewhere |= _also_elsewhere(source, source_in_splits)
    return Leaks(
        num_groups=int(several.sum()),
        num_straddling=int(straddling.sum()),
        num_exact_groups=int(exact.sum()),
        num_exact_straddling=int((exact & straddling).sum()),
        num_near_groups=int((several & ~exact).sum()),
        num_near_straddling=int((straddling & ~exact).sum()),
        num_source_groups=int((source_sizes > 1).sum()),
        num_source_straddling=int(source_straddling.sum()),
        num_ungrouped=int((source < 0).sum()) if (source >= 0).any() else 0,
        num_set_aside=int((split < 0).sum()),
        num_test_affected=int((elsewhere & (split == SPLITS.index("test"))).sum()),
        near_known=bool(rows["brightness"].notna().any() or (rows["near_group"] >= 0).any()),
    )


def affected_test_images(manifest: pd.DataFrame, config: SplitConfig | None = None) -> list[str]:
    """Paths of the test images that `Leaks.num_test_affected` counts; arguments are those of `count_leaks`."""
    rows, split = _with_splits(manifest)
    affected = split == SPLITS.index("test")
    affected &= np.any([_also_elsewhere(g, _by_group(g, split)[1]) for g in _groupings(rows, config)], axis=0)
    return rows.loc[affected, "path"].tolist()


def _with_splits(manifest: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The images that count, and the place of each one's split in `SPLITS`, -1 where set aside."""
    rows = usable(with_all_columns(manifest[[name for name in NEEDED if name in manifest]]))
    return rows, pd.Index(SPLITS).get_indexer(rows["split"])


def _groupings(rows: pd.DataFrame, config: SplitConfig | None) -> tuple[np.ndarray, np.ndarray]:
    """The group of duplicates of each row, and its group by the source, -1 where it is in none."""
    config = config or SplitConfig()
    if config.group_by == "none":  # what the source calls a group is one, kept together or not
        config = config.model_copy(update={"group_by": "auto"})
    return components(len(rows), duplicate_keys(rows, "near")), source_keys(rows, config)


def _by_group(groups: np.ndarray, split: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of groups 0..: how many rows each has, and in which splits, as bits. Rows of group -1 are in none."""
    num_groups = int(groups.max(initial=-1)) + 1
    sizes = np.bincount(groups[groups >= 0], minlength=num_groups)
    bits = np.zeros(num_groups, np.uint8)
    placed = (groups >= 0) & (split >= 0)
    np.bitwise_or.at(bits, groups[placed], (1 << split[placed]).astype(np.uint8))
    return sizes, bits


def _same_bytes(groups: np.ndarray, content_hashes: pd.Series, several: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(several[groups])
    num_contents = pd.Series(content_hashes.to_numpy()[places]).groupby(groups[places]).nunique()
    same = np.zeros(len(several), bool)
    same[num_contents.index[num_contents == 1]] = True
    return same


def _also_elsewhere(groups: np.ndarray, in_splits: np.ndarray) -> np.ndarray:
    """Whether each row's group has images in train or val."""
    outside = np.append(in_splits & 0b011, 0).astype(bool)  # the last one is for rows of group -1
    return outside[groups]


def _both_sides(num_groups: int, num_straddling: int, noun: str, kinds: str = "") -> str:
    groups = count(num_groups, noun, noun.replace("group", "groups", 1).replace("its source", "their source"))
    if not num_straddling:
        return f"{groups}, none on both sides of the split."
    return f"{groups}, {count(num_straddling)} on both sides of the split{kinds}."
