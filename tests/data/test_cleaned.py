"""A cleaned copy holds the images as corrected, lies elsewhere, and is whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from core import jobs
from core.config import SplitConfig
from core.data import cleaned
from core.data.cleaned import ExportStopped, export_csv, export_folders, exports_of, forget_export, start_export
from core.data.datasets import Dataset, index_path
from core.data.edits import exclude, relabel
from core.errors import DarkroomError, InputError
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.waiting import wait_until


@pytest.fixture
def dataset(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """Eight cats and eight dogs: one cat is a dog in truth, one dog is taken out."""
    dataset = index_path(workspace, image_folder())
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    exclude(workspace, dataset.id, ["dog/0007.png"])
    return dataset


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_folders_hold_what_was_corrected_under_the_class_it_has_now(
    workspace: Workspace, dataset: Dataset, tmp_path: Path
) -> None:
    exported = export_folders(workspace, dataset.id, tmp_path / "out")
    cats = [f"cat/{number:04d}.png" for number in range(1, 8)]
    dogs = [f"dog/{number:04d}.png" for number in range(7)]
    assert files(tmp_path / "out") == [*cats, "dog/0000-2.png", *dogs, "labels.csv"] and exported.num_images == 15
    table = pd.read_csv(tmp_path / "out" / "labels.csv").set_index("was")
    moved = tmp_path / "out" / table.loc["cat/0000.png", "path"]
    assert table.loc["cat/0000.png", "label"] == "dog"
    assert moved.read_bytes() == (dataset.root / "cat" / "0000.png").read_bytes()
    again = index_path(workspace, tmp_path / "out")
    assert (again.num_images, again.num_classes, again.num_edits) == (15, 2, 0)


def test_by_split_with_hard_links_that_take_no_space(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    export_folders(workspace, dataset.id, tmp_path / "out", "split", "hardlink")
    found = [path for path in files(tmp_path / "out") if path != "labels.csv"]
    assert {path.partition("/")[0] for path in found} == {"train", "val", "test"} and len(found) == 15
    table = pd.read_csv(tmp_path / "out" / "labels.csv")
    for row in table.itertuples():
        assert row.path.startswith(f"{row.split}/{row.label}/")
        assert os.path.samefile(tmp_path / "out" / row.path, dataset.root / row.was)


def test_a_csv_of_the_split(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    export_csv(workspace, dataset.id, tmp_path / "labels.csv", SplitConfig())
    table = pd.read_csv(tmp_path / "labels.csv", encoding="utf-8-sig")
    assert list(table) == ["path", "label", "split", "group"] and len(table) == 15
    with pytest.raises(InputError, match="there already"):
        export_csv(workspace, dataset.id, tmp_path / "labels.csv")


def test_where_it_may_not_be_written(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    (tmp_path / "way").symlink_to(dataset.root)
    for target, told in (
        (full, "is not empty"),
        (full / "mine.txt", "is not empty"),
        (dataset.root, "the images' own folder"),
        (dataset.root / "new", "the images' own folder"),
        (tmp_path / "way" / "new", "the images' own folder"),
        (tmp_path / "x" / ".." / dataset.root.name / "new", "the images' own folder"),
        (workspace.root / "datasets" / "new", "Darkroom's own folder"),
        ("  ", "No place"),
    ):
        with pytest.raises(InputError, match=told):
            export_folders(workspace, dataset.id, target)
        with pytest.raises(InputError, match=told):
            start_export(workspace, dataset.id, target)
    assert files(full) == ["mine.txt"] and len(files(dataset.root)) == 16


def test_class_names_that_are_no_folders(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    for number, label in enumerate(["../../up", ".", "=1+1", "a:b?", "Dog", "\N{CAT FACE}" * 90]):
        relabel(workspace, dataset.id, [f"cat/{number + 1:04d}.png"], label)
    export_folders(workspace, dataset.id, tmp_path / "deep" / "out")
    assert sorted(os.listdir(tmp_path / "deep")) == ["out"] and "up" not in os.listdir(tmp_path)
    folders = {path.partition("/")[0] for path in files(tmp_path / "deep" / "out")}
    assert {"%2E%2E", "%2E", "=1+1", "a%3Ab%3F", "cat", "dog", "labels.csv"} <= folders
    assert {"Dog", "Dog-2", "dog-2"} & folders, "two classes share a folder where case does not count"
    text = (tmp_path / "deep" / "out" / "labels.csv").read_text("utf-8-sig")
    assert ",'=1+1," in text and ",../../up," in text


def test_stopped_or_failed_nothing_is_left(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    asked = iter([False] * 5 + [True] * 99)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ExportStopped):
        export_folders(workspace, dataset.id, tmp_path / "out", should_stop=lambda: next(asked))
    assert sorted(os.listdir(tmp_path)) == before
    (dataset.root / "cat" / "0003.png").unlink()
    exported = export_folders(workspace, dataset.id, tmp_path / "out")
    assert exported.missing == ("cat/0003.png",) and "1 file gone since indexing" in exported.sentence()
    assert "0003" not in "".join(path for path in files(tmp_path / "out") if path.startswith("cat"))


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="needs a second disk")
def test_hard_links_to_another_disk_are_refused_with_the_way_out(workspace: Workspace, dataset: Dataset) -> None:
    elsewhere = Path("/dev/shm") / f"darkroom-test-{os.getpid()}"
    try:
        with pytest.raises(DarkroomError, match="Choose copies"):
            export_folders(workspace, dataset.id, elsewhere / "out", files="hardlink")
        assert os.listdir(elsewhere) == []
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)


def test_in_the_background(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    folder = start_export(workspace, dataset.id, tmp_path / "out")
    wait_until(lambda: jobs.read_status(folder).ended, "the copy")
    status = jobs.read_status(folder)
    assert status.state == "finished" and "15 images written to" in status.message
    assert (status.done, status.total) == (15, 15) and len(files(tmp_path / "out")) == 16
    assert [place for place, _ in exports_of(workspace, dataset.id)] == [folder]
    assert exports_of(workspace, "another") == []
    forget_export(folder)
    assert exports_of(workspace, dataset.id) == [] and (tmp_path / "out").is_dir()


def test_a_job_that_is_asked_to_stop_leaves_nothing(workspace: Workspace, dataset: Dataset, tmp_path: Path) -> None:
    folder = workspace.exports / "job"
    folder.mkdir()
    asked = {"dataset": dataset.id, "target": str(tmp_path / "out"), "arrange": "class", "files": "copy", "split": None}
    cleaned.write_json(folder / cleaned.REQUEST, asked)
    jobs.prepare(folder)
    jobs.request_stop(folder)
    assert cleaned.main(folder) == 0 and jobs.read_status(folder).state == "stopped"
    assert not (tmp_path / "out").exists()
