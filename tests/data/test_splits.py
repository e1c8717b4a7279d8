"""Splitting: counts by hand, the same for any order of rows, nothing shared between train and test."""

from __future__ import annotations

import pandas as pd
import pytest

from core.config import SplitConfig, TrainConfig
from core.data.datasets import index_path
from core.data.manifest import COLUMNS, with_all_columns
from core.data.probe import content_hash
from core.data.splits import assign_splits, split_dataset
from core.errors import InputError
from core.workspace import Workspace


def table(counts: dict[str, int], split: str | None = None, error: str | None = None) -> pd.DataFrame:
    """A manifest of distinct images."""
    names = [(label, number) for label, count in counts.items() for number in range(count)]
    rows = {
        "path": [f"{split or ''}{label}/{number}.png" for label, number in names],
        "label": [label for label, _ in names],
        "split": split,
        "content_hash": [content_hash(f"{split}/{label}/{number}".encode()) for label, number in names],
        "error": error,
    }
    frame = with_all_columns(pd.DataFrame(rows).assign(width=0, height=0, num_bytes=0, mtime_ns=0))
    return frame[list(COLUMNS)].astype(COLUMNS)


def sizes(frame: pd.DataFrame, label: str) -> dict[str, int]:
    return frame.loc[frame["label"] == label, "split"].value_counts().to_dict()


# n * 0.15 rounded, at least one: 20 -> 3, 10 -> 1.5 -> 2, 3 -> 0.45 -> 1.
def test_counts_by_hand() -> None:
    frame = assign_splits(table({"a": 20, "b": 10, "c": 3}), SplitConfig())
    assert sizes(frame, "a") == {"train": 14, "val": 3, "test": 3}
    assert sizes(frame, "b") == {"train": 6, "val": 2, "test": 2}
    assert sizes(frame, "c") == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize("count", range(3, 12))
def test_train_is_never_empty(count: int) -> None:
    frame = assign_splits(table({"a": count, "b": 40}), SplitConfig(val_fraction=0.45, test_fraction=0.45))
    assert set(sizes(frame, "a")) == {"train", "val", "test"}
    assert sum(sizes(frame, "a").values()) == count


def test_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    frame = table({"a": 60, "b": 60})
    shuffled = frame.sample(frac=1, random_state=7)
    split = assign_splits(frame, SplitConfig()).set_index("path")["split"]
    again = assign_splits(shuffled, SplitConfig()).set_index("path")["split"]
    other = assign_splits(frame, SplitConfig(seed=1)).set_index("path")["split"]
    assert again.index.tolist() == shuffled["path"].tolist()
    assert (split == again.reindex(split.index)).all()
    assert 20 < (split != other).sum() < 120
    assert frame["split"].isna().all()  # the table that came in is as it was


def test_more_images_leave_most_of_the_others_where_they_were() -> None:
    frame = table({"a": 100, "b": 100})
    fewer = assign_splits(frame.drop(index=range(5)), SplitConfig()).set_index("path")["split"]
    all_of_them = assign_splits(frame, SplitConfig()).set_index("path")["split"]
    assert (fewer != all_of_them.reindex(fewer.index)).sum() <= 5


def test_unreadable_files_have_no_split_and_do_not_count() -> None:
    frame = pd.concat([table({"a": 3, "b": 3}), table({"a": 2}, error="The file is empty.")], ignore_index=True)
    frame = assign_splits(frame, SplitConfig())
    assert frame.loc[frame["error"].notna(), "split"].isna().all()
    assert sizes(frame, "a") == {"train": 1, "val": 1, "test": 1}


def test_copies_of_one_image_stay_together() -> None:
    frame = table({"a": 30, "b": 30})
    copies = pd.concat([frame.assign(path=frame["path"] + f".{n}.png") for n in range(4)], ignore_index=True)
    frame = assign_splits(copies, SplitConfig())
    assert (frame.groupby("content_hash")["split"].nunique() == 1).all()
    assert sizes(frame, "a") == {"train": 80, "val": 20, "test": 20}  # 30 * 0.15 = 4.5 -> 5 of each, four copies


def test_split_folders_are_kept_and_what_is_missing_is_carved_from_train() -> None:
    frame = pd.concat([table({"a": 20, "b": 20}, "train"), table({"a": 5, "b": 7}, "test")], ignore_index=True)
    split = assign_splits(frame, SplitConfig())
    assert sizes(split, "a") == {"train": 17, "val": 3, "test": 5}
    assert (split.loc[frame["split"] == "test", "split"] == "test").all()
    whole = pd.concat([frame, table({"a": 1, "b": 1}, "val")], ignore_index=True)
    assert (assign_splits(whole, SplitConfig())["split"] == whole["split"]).all()


def test_too_few_images_are_named_with_their_numbers() -> None:
    frame = pd.concat([table({"a": 2, "b": 5, "c": 0}), table({"d": 4}, error="Damaged.")], ignore_index=True)
    with pytest.raises(InputError) as refusal:
        assign_splits(frame, SplitConfig())
    assert "at least 3 different readable images" in refusal.value.message
    assert "'a' has 2" in refusal.value.message and "'b'" not in refusal.value.message
    same = table({"a": 9, "b": 9})
    same["content_hash"] = same["content_hash"].where(same["label"] == "b", "0" * 16)
    with pytest.raises(InputError, match="'a' has 1"):
        assign_splits(same, SplitConfig())


def test_a_class_with_no_training_image_is_named() -> None:
    frame = pd.concat([table({"a": 9, "b": 9}, "train"), table({"b": 2, "new": 5}, "test")], ignore_index=True)
    with pytest.raises(InputError, match="'new' has 0"):
        assign_splits(frame, SplitConfig())


def test_folder_gone_between_indexing_and_training(workspace: Workspace, image_folder: object) -> None:
    root = image_folder()
    dataset = index_path(workspace, root)
    config = TrainConfig.model_validate({"data": {"dataset": dataset.id}})
    assert split_dataset(workspace, config)["split"].value_counts().to_dict() == {"train": 12, "val": 2, "test": 2}
    root.rename(root.with_name("moved"))
    with pytest.raises(InputError, match="no longer there.*index it again"):
        split_dataset(workspace, config)
