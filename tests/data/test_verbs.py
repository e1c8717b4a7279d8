"""Dividing, correcting and exporting from the command line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from core.data.datasets import Dataset, index_path
from core.data.splits import count_leaks
from core.runs.store import open_run
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.running import SMALL_FLAGS, darkroom, in_process


@pytest.fixture
def dataset(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """Twenty cats, five of them twice, and twenty dogs."""
    root = image_folder(counts={"cat": 20, "dog": 20})
    for number in range(5):
        (root / "cat" / f"copy{number}.png").write_bytes((root / "cat" / f"{number:04d}.png").read_bytes())
    return index_path(workspace, root)


def test_split_prints_sizes_and_leaks_and_writes_who_is_where(dataset: Dataset, tmp_path: Path) -> None:
    done = darkroom("split", dataset.id, "--csv", tmp_path / "split.csv", "--split.test_fraction", "0.2")
    assert done.status == 0, done.errors
    result = done.result
    assert result["num_groups"] == result["leaks"]["num_exact_groups"] == 5 and result["num_straddling"] == 0
    # 25 cats and 20 dogs: 15 % is 3.75 -> 4 and 3, 20 % is 5 and 4.
    assert result["classes"]["cat"] == {"train": 16, "val": 4, "test": 5}
    assert (result["train"], result["val"], result["test"]) == (29, 7, 9)
    table = pd.read_csv(tmp_path / "split.csv", encoding="utf-8-sig")
    assert table["split"].value_counts().to_dict() == {"train": 29, "val": 7, "test": 9}
    apart = in_process("split", dataset.id, "--split.keep_together", "off", "--split.seed", "1").result
    assert apart["num_groups"] == 5 and apart["num_straddling"] > 0


def test_mistakes_are_the_users(dataset: Dataset) -> None:
    for arguments in (
        ("split", "nowhere"),
        ("split", dataset.id, "--split.group_by", "pattern"),
        ("split", dataset.id, "--split.group_by", "folder"),
        ("relabel", dataset.id, "fox", "cat/none.png"),
        ("exclude", dataset.id),
        ("undo", dataset.id),
        ("export-cleaned", dataset.id, dataset.root / "in"),
    ):
        done = in_process(*arguments)
        assert done.status == 2 and done.result["error"] and "Traceback" not in done.errors, arguments


def test_corrections_step_by_step(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("cat/copy0.png\ncat/copy1.png\n")
    done = darkroom("exclude", dataset.id, "--paths-from", tmp_path / "list.txt", "--reason", "copies")
    assert done.result["num_images"] == 2 and done.result["dataset_num_images"] == 43
    assert in_process("relabel", dataset.id, "dog", "cat/0009.png").result["label"] == "dog"
    assert in_process("undo", dataset.id).result["dataset_num_edits"] == 1
    assert in_process("redo", dataset.id).result["dataset_num_edits"] == 2
    edits = in_process("edits", dataset.id).result["edits"]
    assert [(edit["action"], edit["reason"], edit["undone"]) for edit in edits] == [
        ("exclude", "copies", False),
        ("relabel", "", False),
    ]
    exported = in_process("export-cleaned", dataset.id, tmp_path / "out").result
    assert exported["num_images"] == 43 and (tmp_path / "out" / "dog" / "0009-2.png").is_file()
    restored = in_process("restore", dataset.id, "cat/copy0.png").result
    assert restored["dataset_num_images"] == 44


def test_a_run_names_its_version_and_its_leaks(workspace: Workspace, dataset: Dataset, forked_jobs: None) -> None:
    in_process("exclude", dataset.id, "cat/copy0.png")
    listed = in_process("split", dataset.id, "--split.keep_together", "off").result
    done = in_process("train", "--data", dataset.id, *SMALL_FLAGS, "--split.keep_together", "off")
    assert done.status == 0, done.errors
    result = done.result
    assert result["leaks"] == listed["leaks"] and result["leaks"]["num_groups"] == 4
    assert (result["num_images"], result["num_edits"]) == (44, 1)
    assert result["dataset_fingerprint"] == listed["dataset_fingerprint"] != dataset.fingerprint
    run = open_run(workspace, result["run"])
    assert run.manifest()["split"].value_counts()["test"] == listed["test"]
    assert count_leaks(run.manifest(), run.config.split).num_straddling == listed["num_straddling"]
    again = in_process("evaluate", run.id).result
    assert again["leaks"] == listed["leaks"] and again["dataset_fingerprint"] == result["dataset_fingerprint"]
