"""Corrections: applied, undone, kept through restarts, re-indexing and several processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from core.config import build_config
from core.data import ledger
from core.data.datasets import Dataset, index_path, open_dataset
from core.data.edits import exclude, history, next_steps, redo, relabel, restore, sentence, undo
from core.data.manifest import usable
from core.data.splits import split_dataset
from core.errors import DarkroomError, InputError
from core.workspace import REPOSITORY, Workspace
from tests.conftest import ImageFolder


@pytest.fixture
def dataset(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """Eight cats and eight dogs."""
    return index_path(workspace, image_folder())


def labels(workspace: Workspace, dataset: Dataset) -> dict[str, str]:
    """Of the images in use."""
    rows = usable(open_dataset(workspace, dataset.id).manifest())
    return dict(zip(rows["path"], rows["label"], strict=True))


def test_relabel_makes_a_version_and_undo_brings_the_old_one_back(workspace: Workspace, dataset: Dataset) -> None:
    photos = {path.name: path.read_bytes() for path in (dataset.root / "cat").iterdir()}
    before = labels(workspace, dataset)
    edit = relabel(workspace, dataset.id, ["cat/0000.png", "cat/0001.png"], "dog", "they bark")
    assert sentence(edit) == "Relabelled 2 images as dog."
    now = open_dataset(workspace, dataset.id)
    rows = now.manifest().set_index("path")
    assert now.fingerprint != dataset.fingerprint and (now.num_images, now.num_edits) == (16, 1)
    assert rows.loc["cat/0000.png", ["label", "source_label"]].tolist() == ["dog", "cat"]
    assert undo(workspace, dataset.id).undone
    back = open_dataset(workspace, dataset.id)
    assert back.fingerprint == dataset.fingerprint and labels(workspace, dataset) == before
    assert not redo(workspace, dataset.id).undone
    assert open_dataset(workspace, dataset.id).fingerprint == now.fingerprint
    assert redo(workspace, dataset.id) is None
    assert photos == {path.name: path.read_bytes() for path in (dataset.root / "cat").iterdir()}, "an image was touched"


def test_what_was_excluded_is_used_for_nothing(workspace: Workspace, dataset: Dataset) -> None:
    exclude(workspace, dataset.id, ["cat/0000.png"])
    now = open_dataset(workspace, dataset.id)
    assert (now.num_images, now.num_excluded, now.num_errors, len(now.manifest())) == (15, 1, 0, 16)
    divided = split_dataset(workspace, build_config({"data.dataset": dataset.id})).set_index("path")
    assert divided["split"].isna().sum() == 1 and divided["split"].isna()["cat/0000.png"]
    restore(workspace, dataset.id, ["cat/0000.png"])
    assert open_dataset(workspace, dataset.id).fingerprint == dataset.fingerprint  # though nothing was undone


def test_a_class_appears_and_disappears_with_its_images(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "  young   cat ")
    assert labels(workspace, dataset)["cat/0000.png"] == "young cat"
    assert open_dataset(workspace, dataset.id).num_classes == 3
    relabel(workspace, dataset.id, ["cat/0000.png"], "cat")
    now = open_dataset(workspace, dataset.id)
    assert (now.num_classes, now.num_edits, now.fingerprint) == (2, 2, dataset.fingerprint)


def test_a_new_edit_after_undo_leaves_nothing_to_redo(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    exclude(workspace, dataset.id, ["dog/0000.png"])
    undo(workspace, dataset.id)
    relabel(workspace, dataset.id, ["cat/0002.png"], "dog")
    assert redo(workspace, dataset.id) is None
    assert [(edit.action, edit.undone) for edit in history(workspace, dataset.id)] == [
        ("relabel", False),
        ("exclude", True),
        ("relabel", False),
    ]
    back, forth = next_steps(workspace, dataset.id)
    assert back.paths == ["cat/0002.png"] and forth is None
    with pytest.raises(InputError, match="others were made since"):
        undo(workspace, dataset.id, only=1)
    undo(workspace, dataset.id)
    assert undo(workspace, dataset.id).id == 1, "the undone edit in between was undone again"
    assert undo(workspace, dataset.id) is None


def test_history_has_time_reason_and_images(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog", "  wrong\nfolder ")
    exclude(workspace, dataset.id, ["cat/0000.png", "dog/0001.png"])
    first, second = history(workspace, dataset.id)
    assert first.reason == "wrong folder" and 0 <= second.at - first.at < 60 and second.paths[1] == "dog/0001.png"
    assert [edit.id for edit in history(workspace, dataset.id, "dog/0001.png")] == [second.id]


@pytest.mark.parametrize(
    ("paths", "label", "told"),
    [
        (["cat/0000.png"], "", "1 to 100 characters; this has 0"),
        (["cat/0000.png"], "x" * 101, "this has 101"),
        (["cat/0000.png"], "a\0b", "cannot be shown"),
        (["cat/9.png", "cat/0000.png", "x"], "dog", "cat/9.png, x are not in dataset photos"),
        (["../../etc/passwd"], "dog", "is not in dataset"),
        ([], "dog", "No image is selected"),
        (["cat/0000.png"], "cat", "labelled cat already"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_no_trace(
    workspace: Workspace, dataset: Dataset, paths: list[str], label: str, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        relabel(workspace, dataset.id, paths, label)
    assert open_dataset(workspace, dataset.id) == dataset and history(workspace, dataset.id) == []


def test_an_unreadable_file_has_nothing_to_correct(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder()
    (root / "cat" / "broken.png").write_bytes(b"no image")
    dataset = index_path(workspace, root)
    with pytest.raises(InputError, match=r"cat/broken\.png cannot be read"):
        exclude(workspace, dataset.id, ["cat/broken.png"])


def test_edits_outlive_indexing_again_unless_the_file_changed(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png", "cat/0001.png"], "dog")
    exclude(workspace, dataset.id, ["dog/0003.png"])
    edited = open_dataset(workspace, dataset.id)
    assert index_path(workspace, dataset.root).fingerprint == edited.fingerprint
    Image.new("RGB", (30, 30), "red").save(dataset.root / "cat" / "0001.png")
    (dataset.root / "dog" / "0003.png").unlink()
    again = index_path(workspace, dataset.root)
    found = labels(workspace, dataset)
    assert found["cat/0000.png"] == "dog" and found["cat/0001.png"] == "cat"
    assert (again.num_images, again.num_excluded) == (15, 0)
    assert [edit.num_stale for edit in history(workspace, dataset.id)] == [1, 1]


def test_a_torn_last_line_is_no_edit_and_the_next_one_is_whole(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    path = dataset.folder / ledger.LEDGER
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": 2, "action": "exclu')
    assert len(history(workspace, dataset.id)) == 1
    exclude(workspace, dataset.id, ["cat/0001.png"])
    assert path.read_bytes().startswith(whole) and all(json.loads(line) for line in path.read_bytes().splitlines())
    assert open_dataset(workspace, dataset.id).num_excluded == 1


def test_an_edit_written_down_but_not_counted_yet_is_counted_when_read(workspace: Workspace, dataset: Dataset) -> None:
    description = (dataset.folder / "dataset.json").read_bytes()
    relabel(workspace, dataset.id, ["cat/0000.png"], "fox")
    after = open_dataset(workspace, dataset.id)
    (dataset.folder / "dataset.json").write_bytes(description)  # as where the process died in between
    assert open_dataset(workspace, dataset.id) == after and after.num_classes == 3
    assert json.loads((dataset.folder / "dataset.json").read_bytes())["num_classes"] == 3


def test_a_dataset_read_earlier_stays_as_it_was(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    seen = open_dataset(workspace, dataset.id)
    exclude(workspace, dataset.id, ["dog/0000.png"])
    assert len(usable(seen.manifest())) == seen.num_images == 16


def test_a_damaged_ledger_is_named(workspace: Workspace, dataset: Dataset) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    with open(dataset.folder / ledger.LEDGER, "ab") as file:
        file.write(b'{"id": 2, "action": "undo", "of": 77}\n')
    with pytest.raises(DarkroomError, match=r"Line 2 .*edits\.jsonl is damaged"):
        open_dataset(workspace, dataset.id)


def test_processes_that_edit_at_once_lose_nothing(workspace: Workspace, dataset: Dataset) -> None:
    program = (
        "import sys; from core.data.edits import relabel; from core.workspace import Workspace\n"
        "for number in range(8): relabel(Workspace.default(), sys.argv[1], [f'{sys.argv[2]}/{number:04d}.png'], 'fox')"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, dataset.id, label], cwd=REPOSITORY, env=os.environ)
        for label in ("cat", "dog")
    ]
    assert [child.wait(120) for child in children] == [0, 0]
    now = open_dataset(workspace, dataset.id)
    assert (now.num_edits, now.num_classes) == (16, 1) and set(labels(workspace, dataset).values()) == {"fox"}
    assert [edit.id for edit in history(workspace, dataset.id)] == list(range(1, 17))


def test_a_label_conflict_follows_the_labels(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder(counts={"cat": 8, "dog": 8, "fox": 8})
    (root / "dog" / "twin.png").write_bytes((root / "cat" / "0000.png").read_bytes())
    dataset = index_path(workspace, root)
    pair = ["cat/0000.png", "dog/twin.png"]

    def flagged() -> list[bool]:
        rows = open_dataset(workspace, dataset.id).manifest().set_index("path")
        assert rows["is_label_conflict"].sum() == rows.loc[pair, "is_label_conflict"].sum()
        assert (rows.loc[pair, "label_conflict_score"] < 0.5).tolist() == rows.loc[pair, "is_label_conflict"].tolist()
        return rows.loc[pair, "is_label_conflict"].tolist()

    if not (dataset.manifest()["duplicate_group"] >= 0).any():
        pytest.skip("this index does not look for duplicates")
    assert flagged() == [True, True]
    relabel(workspace, dataset.id, ["dog/twin.png"], "cat")
    assert flagged() == [False, False]
    undo(workspace, dataset.id)
    exclude(workspace, dataset.id, ["dog/twin.png"])
    assert flagged() == [False, False]


def test_the_ledger_stays_small_and_readable(workspace: Workspace, dataset: Dataset) -> None:
    exclude(workspace, dataset.id, ["cat/0000.png"], "blurred")
    (line,) = (dataset.folder / ledger.LEDGER).read_text().splitlines()
    row = json.loads(line)
    assert (row["id"], row["action"], row["reason"]) == (1, "exclude", "blurred")
    content = dataset.manifest().set_index("path").loc["cat/0000.png", "content_hash"]
    assert row["files"] == [["cat/0000.png", content]] and Path(dataset.root, row["files"][0][0]).is_file()
