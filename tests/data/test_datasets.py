"""Registered datasets: stored whole, found again, indexed again, and told apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from core.data.datasets import damaged_datasets, dataset_id, ensure_builtin, index_path, list_datasets, open_dataset
from core.data.index import IndexingStopped
from core.data.manifest import usable
from core.errors import DarkroomError, InputError
from core.workspace import REPOSITORY, Workspace
from tests.conftest import ImageFolder


def test_index_and_find_again(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder("My photos", {"cat": 5, "dog": 4})
    (root / "cat" / "list.txt").touch()
    (root / "dog" / "bad.jpg").write_bytes(b"no image")
    dataset = index_path(workspace, str(root))
    assert (dataset.name, dataset.layout, dataset.root) == ("My photos", "class folders", root)
    assert (dataset.num_images, dataset.num_classes, dataset.num_errors) == (9, 2, 1)
    assert dataset.ignored == {".txt": 1}
    assert dataset.id.startswith("my-photos-") and dataset.folder == workspace.dataset(dataset.id)
    assert open_dataset(workspace, dataset.id) == open_dataset(workspace, "My photos") == dataset
    assert len(dataset.manifest()) == 10
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["dataset.json", "manifest.parquet"]


def test_the_same_folder_is_the_same_dataset(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    (root.parent / "link").symlink_to(root)
    first = index_path(workspace, root, name="  Cats\nand dogs ")
    Image.new("L", (5, 5)).save(root / "cat" / "extra.png")
    second = index_path(workspace, root.parent / "link")
    assert [one.id for one in list_datasets(workspace)] == [first.id] == [dataset_id(root.parent / "link")]
    assert second.name == "Cats and dogs" and second.created == first.created
    assert second.num_images == first.num_images + 1 and second.fingerprint != first.fingerprint
    assert index_path(workspace, root, name="Pets").name == "Pets"


def test_two_folders_of_one_name_are_asked_for_by_id(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    ids = [index_path(workspace, image_folder(f"{place}/pets")).id for place in ("a", "b")]
    assert len(set(ids)) == 2
    with pytest.raises(InputError, match="Several datasets") as refusal:
        open_dataset(workspace, "pets")
    assert all(one in refusal.value.fix for one in ids)


def test_an_unknown_dataset_names_the_known(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="none yet"):
        open_dataset(workspace, "nothing")
    known = index_path(workspace, image_folder()).id
    with pytest.raises(InputError, match=known):
        open_dataset(workspace, "nothing")
    for escape in ("../runs", "a/b", ""):
        with pytest.raises(InputError):
            open_dataset(workspace, escape)


def test_refused_and_stopped_indexing_stores_nothing(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    with pytest.raises(IndexingStopped):
        index_path(workspace, root, should_stop=lambda: True)
    with pytest.raises(InputError, match="1 to 80"):
        index_path(workspace, root, name=" ")
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="None of the 16 images.*The file is empty"):
        index_path(workspace, root)
    assert list(workspace.datasets.iterdir()) == []


def test_a_failed_second_index_leaves_the_first(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    first = index_path(workspace, root)
    with pytest.raises(IndexingStopped):
        index_path(workspace, root, should_stop=lambda: True)
    assert open_dataset(workspace, first.id) == first
    (first.folder / "manifest.parquet").write_bytes(b"damaged")
    with pytest.raises(DarkroomError, match="Index the folder"):
        first.manifest()
    assert len(index_path(workspace, root).manifest()) == 16


def test_one_folder_indexed_twice_at_once(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    with ThreadPoolExecutor(4) as pool:
        datasets = list(pool.map(lambda _: index_path(workspace, root), range(4)))
    assert len({dataset.id for dataset in datasets}) == 1
    assert [place.name for place in workspace.datasets.iterdir()] == [datasets[0].id]
    assert len(open_dataset(workspace, datasets[0].id).manifest()) == 16


def test_a_full_disk_leaves_what_was_there(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    root = image_folder(counts={"a": 60, "b": 60}, size=(4, 3))
    first = index_path(workspace, root)
    Image.new("L", (5, 5)).save(root / "a" / "more.png")
    program = (
        "import resource, sys; from core.data.datasets import index_path; from core.workspace import Workspace;"
        "from core.errors import DarkroomError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))  # the manifest is larger\n"
        "try: index_path(Workspace.default(), sys.argv[1])\n"
        "except DarkroomError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(root)], cwd=REPOSITORY, capture_output=True, text=True)
    assert "The disk is full" in done.stdout and "Free some space" in done.stdout, done.stderr
    assert list_datasets(workspace) == [first] and len(first.manifest()) == 120
    assert [place.name for place in workspace.datasets.iterdir()] == [first.id]


def test_a_damaged_description_names_the_file(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    dataset = index_path(workspace, image_folder())
    (dataset.folder / "dataset.json").write_text('{"id": "x"}')
    with pytest.raises(DarkroomError, match="dataset.json is damaged"):
        open_dataset(workspace, dataset.id)


def test_digits(workspace: Workspace) -> None:
    digits = ensure_builtin(workspace)
    assert (digits.id, digits.name, digits.num_images, digits.num_classes) == ("digits", "Digits", 1797, 10)
    frame = usable(digits.manifest())
    assert len(frame) == 1797 and set(frame["mode"]) == {"L"} and set(frame["width"]) == {8}
    # The first image of the set is a zero whose first row is 0 0 5 13 9 1 0 0 of 16.
    pixels = list(Image.open(digits.root / "0" / "0000.png").crop((0, 0, 8, 1)).getdata())
    assert pixels == [round(value * 255 / 16) for value in (0, 0, 5, 13, 9, 1, 0, 0)]
    written = (digits.folder / "dataset.json").stat().st_mtime_ns
    assert ensure_builtin(workspace) == digits == open_dataset(workspace, "Digits")
    assert (digits.folder / "dataset.json").stat().st_mtime_ns == written


def test_digits_move_with_the_workspace_and_come_back_when_deleted(workspace: Workspace, tmp_path: Path) -> None:
    digits = ensure_builtin(workspace)
    os.rename(workspace.root, tmp_path / "moved")
    moved = open_dataset(Workspace(tmp_path / "moved"), "digits")
    assert moved.root == tmp_path / "moved" / "datasets" / "digits" / "images" and moved.root.is_dir()
    os.rename(moved.root, tmp_path / "taken")
    assert ensure_builtin(Workspace(tmp_path / "moved")).fingerprint == digits.fingerprint


def test_digits_by_several_processes_at_once(workspace: Workspace) -> None:
    program = (
        "import json, sys; from core.data.datasets import ensure_builtin; from core.workspace import Workspace;"
        "d = ensure_builtin(Workspace.default());"
        "print(json.dumps([d.num_images, len(list(d.root.glob('*/*.png'))), d.created,"
        " [m for m in ('torch', 'sklearn', 'streamlit') if m in sys.modules]]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE) for _ in range(3)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert answers == [[1797, 1797, answers[0][2], []]] * 3
    assert {place.name for place in workspace.datasets.iterdir()} <= {"digits", ".digits.lock"}


def test_a_folder_called_train_is_named_after_the_one_it_is_in(image_folder: ImageFolder, workspace: Workspace) -> None:
    dataset = index_path(workspace, image_folder(name="dogs-vs-cats/train"))
    assert dataset.name == "dogs-vs-cats" and dataset.id.startswith("dogs-vs-cats-")


def test_a_class_without_a_readable_image_leaves_one_class_which_is_refused(
    image_folder: ImageFolder, workspace: Workspace
) -> None:
    folder = image_folder(counts={"good": 5, "bad": 3})
    for path in (folder / "bad").iterdir():
        path.write_text("no image")
    with pytest.raises(InputError, match="Only images of one class, 'good'"):
        index_path(workspace, folder)
    assert list_datasets(workspace) == []


def test_a_stray_file_or_a_damaged_description_hides_no_other_dataset(
    image_folder: ImageFolder, workspace: Workspace
) -> None:
    sound, damaged = (index_path(workspace, image_folder(name=name)) for name in ("sound", "damaged"))
    (workspace.datasets / "notes.txt").write_text("hello")
    (damaged.folder / "dataset.json").write_text("{")
    assert list_datasets(workspace) == [sound]
    assert len(damaged_datasets(workspace)) == 1 and str(damaged.folder) in damaged_datasets(workspace)[0]


def test_training_and_testing_folders_are_splits(image_folder: ImageFolder, workspace: Workspace) -> None:
    folder = image_folder(layout="split folders")
    (folder / "train").rename(folder / "Training")
    (folder / "test").rename(folder / "Testing")
    dataset = index_path(workspace, folder)
    assert dataset.num_classes == 2 and set(dataset.manifest()["split"]) == {"train", "val", "test"}
