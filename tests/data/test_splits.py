"""Splitting: counts by hand, the same for any order of rows, nothing shared between train and test."""

from __future__ import annotations

import pandas as pd
import pytest

from core.config import SplitConfig, TrainConfig
from core.data.datasets import index_path
from core.data.manifest import COLUMNS, with_all_columns
from core.data.probe import content_hash
from core.data.splits import assign_splits, class_table, count_leaks, divide, membership, split_dataset
from core.errors import InputError
from core.workspace import Workspace
from tests.conftest import ImageFolder


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


def with_twins(counts: dict[str, int], num_twins: int) -> pd.DataFrame:
    """Of each class the first images have a twin that looks the same and is of other bytes."""
    frame = table(counts)
    frame["near_group"] = -1
    number = frame.groupby("label").cumcount()
    classes = frame["label"].map({label: place for place, label in enumerate(counts)})
    frame["near_group"] = (classes * 10_000 + number).where(number < num_twins, -1).astype("int32")
    twins = frame[number < num_twins].assign(
        path=lambda rows: rows["path"] + ".twin.jpg", content_hash=lambda rows: rows["content_hash"].str[::-1]
    )
    return pd.concat([frame, twins], ignore_index=True).assign(brightness=0.5)


def test_twins_stay_on_one_side_and_without_that_some_straddle() -> None:
    frame = with_twins({"a": 200, "b": 200}, 30)
    together = assign_splits(frame, SplitConfig())
    leaks = count_leaks(together)
    assert (leaks.num_groups, leaks.num_near_groups, leaks.num_straddling, leaks.num_test_affected) == (60, 60, 0, 0)
    assert leaks.sentence() == "60 groups of duplicates, none on both sides of the split."
    # 230 images of a class * 0.15 = 34.5 -> 35, to which single images fill it up.
    assert sizes(together, "a") == {"train": 160, "val": 35, "test": 35}
    apart = assign_splits(frame, SplitConfig(keep_together="off"))
    leaks = count_leaks(apart)
    assert leaks.num_groups == 60 and 10 <= leaks.num_straddling <= 50 and leaks.num_test_affected > 0
    assert "on both sides of the split (0 exact" in leaks.sentence() and "flatters" in leaks.sentence()
    # By exact copies alone twins are not held together either.
    assert count_leaks(assign_splits(frame, SplitConfig(keep_together="exact"))).num_straddling > 10


def test_twins_are_as_frequent_in_test_as_in_training() -> None:
    frame = assign_splits(with_twins({"a": 400, "b": 400}, 100), SplitConfig())
    twins = frame[frame["near_group"] >= 0]
    assert twins["split"].value_counts().to_dict() == {"train": 280, "val": 60, "test": 60}  # 400 twins * 0.15


def test_exact_copies_straddle_only_when_nothing_is_kept_together() -> None:
    frame = table({"a": 60, "b": 60})
    copies = pd.concat([frame, frame.assign(path=frame["path"] + ".copy.png")], ignore_index=True)
    apart = count_leaks(assign_splits(copies, SplitConfig(keep_together="off")))
    assert apart.num_exact_groups == 120 and 20 < apart.num_exact_straddling < 100
    assert not count_leaks(assign_splits(copies, SplitConfig(keep_together="exact"))).any_straddling


def test_one_image_under_two_labels_stays_on_one_side() -> None:
    frame = table({"a": 40, "b": 40})
    frame.loc[frame["label"] == "b", "content_hash"] = frame.loc[frame["label"] == "a", "content_hash"].to_numpy()
    frame = assign_splits(frame, SplitConfig())
    assert (frame.groupby("content_hash")["split"].nunique() == 1).all()
    assert sizes(frame, "a") == sizes(frame, "b") == {"train": 28, "val": 6, "test": 6}


def test_groups_joined_through_others_are_one() -> None:
    frame = table({"a": 12, "b": 12})
    frame["group"] = [f"p{number // 2}" for number in range(24)]  # pairs ...
    frame["near_group"] = pd.Series([-1, 1, 1, -1] * 6, dtype="int32") * [n // 4 + 1 for n in range(24)]
    frame["near_group"] = frame["near_group"].where(frame["near_group"] > 0, -1)  # ... of which two look alike
    config = SplitConfig(group_by="column")
    divided = assign_splits(frame, config)
    fours = pd.Series(range(24)) // 4
    assert (divided.groupby(fours)["split"].nunique() == 1).all() and divided["split"].nunique() == 3
    leaks = count_leaks(divided, config)
    assert (leaks.num_source_groups, leaks.num_source_straddling, leaks.num_groups) == (12, 0, 6)


def test_groups_of_unequal_size_come_as_near_the_shares_as_they_can() -> None:
    frame = table({"a": 100, "b": 100})
    bounds = [60, 80, 90, 94, 97, 98, 99]  # groups of 60, 20, 10, 4, 3, 1, 1, 1 images of each class
    number = frame.groupby("label").cumcount()
    frame["group"] = frame["label"] + number.map(lambda n: str(sum(n >= bound for bound in bounds)))
    divided = assign_splits(frame, SplitConfig(group_by="column"))
    by_itself = assign_splits(frame, SplitConfig())
    assert by_itself["split"].tolist() == divided["split"].tolist(), "a column of groups holds without being asked for"
    assert (divided.groupby("group")["split"].nunique() == 1).all()
    for label in "ab":
        assert set(sizes(divided, label)) == {"train", "val", "test"}
        assert sizes(divided, label)["train"] >= 60, "the largest group was taken for a split of 15 images"


def test_folders_below_the_class_are_groups_of_all_classes() -> None:
    frame = table({"cat": 40, "dog": 40})
    number = frame.groupby("label").cumcount()
    frame["path"] = frame["label"] + "/patient" + (number // 4).astype(str) + "/" + number.astype(str) + ".png"
    config = SplitConfig(group_by="folder")
    divided = assign_splits(frame, config)
    patient = divided["path"].str.extract(r"(patient\d+)")[0]
    assert (divided.groupby(patient)["split"].nunique() == 1).all()
    assert count_leaks(divided, config).num_source_groups == 10
    assert count_leaks(assign_splits(frame, SplitConfig()), config).num_source_straddling > 0
    flat = table({"cat": 9, "dog": 9})
    with pytest.raises(InputError, match="all images of 'cat', 'dog' are in one folder.*pattern or none"):
        assign_splits(flat, config)


def test_a_pattern_names_groups() -> None:
    frame = table({"a": 30, "b": 30})
    number = frame.groupby("label").cumcount()
    frame["path"] = frame["label"] + "/video" + (number // 3).astype(str) + "_" + number.astype(str) + ".png"
    frame.loc[0, "path"] = "a/still.png"
    config = SplitConfig(group_by="pattern", group_pattern=r"(\w/video\d+)_")
    divided = assign_splits(frame, config)
    groups = frame["path"].str.extract(r"(\w/video\d+)_")[0]
    assert (divided.groupby(groups)["split"].nunique() == 1).all()
    leaks = count_leaks(divided, config)
    assert (leaks.num_source_groups, leaks.num_ungrouped) == (20, 1)
    assert "1 image in no group" in leaks.sentence()
    whole = assign_splits(frame, SplitConfig(group_by="pattern", group_pattern=r"\w/video\d+"))
    assert whole["split"].tolist() == divided["split"].tolist()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (SplitConfig(group_by="pattern", group_pattern="("), "no regular expression"),
        (SplitConfig(group_by="pattern", group_pattern="(?=a)"), "Looking ahead"),
        (SplitConfig(group_by="pattern", group_pattern="nowhere"), "matches no path, such as 'a/0.png'"),
        (SplitConfig(group_by="column"), "source names no groups"),
        (SplitConfig(group_by="pattern", group_pattern="(a/[0-9]|b/1?[0-3])"), "at least 3 groups of images.*'b' has"),
    ],
)
def test_groups_that_cannot_be_are_refused_in_words(config: SplitConfig, told: str) -> None:
    frame = table({"a": 9, "b": 9})
    if "has" in told:
        frame.loc[frame["label"] == "b", "path"] = "b/1/" + frame["path"].str[2:]
    with pytest.raises(InputError, match=told):
        assign_splits(frame, config)


def test_a_pattern_that_would_never_end_ends() -> None:
    frame = table({"a": 9, "b": 9}).assign(path=lambda rows: "x" * 4000 + rows["path"])
    with pytest.raises(InputError, match="matches no path"):
        assign_splits(frame, SplitConfig(group_by="pattern", group_pattern="(x+x+)+y"))


def test_given_folders_stay_sealed_and_twins_in_training_are_set_aside() -> None:
    frame = with_twins({"a": 30, "b": 30}, 4)
    frame["split"] = "train"
    number = frame.groupby("label").cumcount()
    frame.loc[number.between(1, 6), "split"] = "test"  # 3 of the twins' originals, and 3 others
    frame.loc[number.between(7, 9), "split"] = "val"
    frame.loc[number == 33, "split"] = "val"  # the twin of number 3
    divided = assign_splits(frame, SplitConfig())
    assert (divided.loc[frame["split"] == "test", "split"] == "test").all()
    aside = divided["split"].isna()
    assert divided.loc[aside, "path"].str.endswith("twin.jpg").all() and aside.sum() == 6
    leaks = count_leaks(divided)
    assert (leaks.num_set_aside, leaks.num_groups, leaks.num_straddling) == (6, 8, 0)
    assert "6 images set aside" in leaks.sentence()
    assert class_table(divided).set_index("label").loc["a"].tolist() == [22, 3, 6, 3]
    kept = assign_splits(frame, SplitConfig(keep_together="off"))
    assert kept["split"].tolist() == frame["split"].tolist()
    assert count_leaks(kept).num_straddling == 6


def test_excluded_images_hold_nothing_together() -> None:
    frame = with_twins({"a": 30, "b": 30}, 5)
    frame["excluded"] = frame["path"].str.endswith("twin.jpg")
    divided = assign_splits(frame, SplitConfig())
    assert divided.loc[frame["excluded"], "split"].isna().all()
    leaks = count_leaks(divided)
    assert (leaks.num_groups, leaks.num_set_aside) == (0, 0)
    with pytest.raises(InputError, match="No image is left"):
        assign_splits(frame.assign(excluded=True), SplitConfig())


def test_groups_and_shuffled_rows_give_the_same_split() -> None:
    frame = with_twins({"a": 80, "b": 50, "c": 20}, 12)
    frame["group"] = [f"g{number % 40}" if number % 3 else None for number in range(len(frame))]
    config = SplitConfig(group_by="column", seed=5)
    split = assign_splits(frame, config).set_index("path")["split"]
    for seed in range(3):
        again = assign_splits(frame.sample(frac=1, random_state=seed), config).set_index("path")["split"]
        assert (again.reindex(split.index) == split).all()


def test_more_images_leave_most_units_where_they_were() -> None:
    frame = with_twins({"a": 200, "b": 200}, 60)
    fewer = assign_splits(frame.drop(index=range(195, 200)), SplitConfig()).set_index("path")["split"]
    every = assign_splits(frame, SplitConfig()).set_index("path")["split"]
    assert (fewer != every.reindex(fewer.index)).sum() <= 12


def test_membership_is_what_a_run_really_uses(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder(counts={"cat": 20, "dog": 20})
    (root / "dog" / "copy.png").write_bytes((root / "dog" / "0000.png").read_bytes())
    dataset = index_path(workspace, root)
    config = TrainConfig.model_validate({"data": {"dataset": dataset.id}, "split": {"seed": 3}})
    used = split_dataset(workspace, config).set_index("path")["split"]
    listed = membership(divide(workspace, config).manifest, config.split).set_index("path")
    assert (listed["split"] == used.reindex(listed.index)).all() and len(listed) == 41
    assert listed.loc["dog/copy.png", "group"] == listed.loc["dog/0000.png", "group"]
    assert divide(workspace, config).about()["leaks"]["num_exact_groups"] == 1


def test_folder_gone_between_indexing_and_training(workspace: Workspace, image_folder: object) -> None:
    root = image_folder()
    dataset = index_path(workspace, root)
    config = TrainConfig.model_validate({"data": {"dataset": dataset.id}})
    assert split_dataset(workspace, config)["split"].value_counts().to_dict() == {"train": 12, "val": 2, "test": 2}
    root.rename(root.with_name("moved"))
    with pytest.raises(InputError, match="no longer there.*index it again"):
        split_dataset(workspace, config)
