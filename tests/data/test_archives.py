"""Archives unpacked in the workspace: every kind, progress, cancel, and what stays with the dataset."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.archives import unpack
from core.data.datasets import accept, index_path, list_datasets, look_at, pending
from core.data.intake import open_source, take_in
from core.data.pending import looked_at, resume
from core.data.reading import Reading
from core.data.walk import IntakeStopped
from core.errors import InputError
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.waiting import wait_until

KINDS = {"zip": ".zip", "tar": ".tar", "gztar": ".tar.gz", "bztar": ".tar.bz2", "xztar": ".tar.xz"}


@pytest.fixture
def archived(image_folder: ImageFolder, tmp_path: Path) -> Callable[..., Path]:
    def make(kind: str = "zip", **how: object) -> Path:
        folder = image_folder("photos", **how)
        return Path(shutil.make_archive(str(tmp_path / "holiday"), kind, folder.parent, folder.name))

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_dataset(workspace: Workspace, archived: Callable[..., Path], kind: str) -> None:
    archive = archived(kind, layout="split folders")
    assert archive.name == "holiday" + KINDS[kind]
    dataset = index_path(workspace, archive)
    assert (dataset.name, dataset.num_images, dataset.num_classes) == ("holiday", 16, 2)
    assert dataset.layout == "split folders" and dataset.source == str(archive)
    assert dataset.root == dataset.folder / "images" / "photos"  # the one folder in it is no class
    assert '"root": "images/photos"' in (dataset.folder / "dataset.json").read_text()
    original = archive.parent / "photos" / dataset.manifest()["path"].iloc[0]
    assert (dataset.root / dataset.manifest()["path"].iloc[0]).read_bytes() == original.read_bytes()


def test_looked_at_corrected_and_kept_without_unpacking_twice(
    workspace: Workspace, archived: Callable[..., Path]
) -> None:
    archive = archived(layout="flat names")
    identity = look_at(workspace, archive)
    wait_until(lambda: pending(workspace, identity)[0].ended, "the archive to be indexed")
    status, dataset = pending(workspace, identity)
    assert dataset and dataset.layout == "flat names" and list_datasets(workspace) == [], status
    before = (dataset.root / "cat.0.png").stat()
    resume(workspace, identity, Reading("flat names", pattern=r"^(\w)"))
    wait_until(lambda: pending(workspace, identity)[0].ended, "the archive to be read again")
    dataset = pending(workspace, identity)[1]
    assert dataset and set(dataset.manifest()["label"]) == {"c", "d"}
    assert (dataset.root / "cat.0.png").stat().st_ino == before.st_ino, "it was unpacked again"
    assert looked_at(workspace, identity)[1].pattern == r"^(\w)"
    kept = accept(workspace, identity)
    assert kept.root.is_relative_to(workspace.dataset(kept.id)) and (kept.root / "cat.0.png").exists()
    assert set(index_path(workspace, archive).manifest()["label"]) == {"c", "d"}, "the reading is kept"


def test_a_newer_archive_replaces_the_images(workspace: Workspace, archived: Callable[..., Path]) -> None:
    archive = archived()
    first = index_path(workspace, archive)
    shutil.rmtree(archive.parent / "photos")
    archived(counts={"cat": 3, "fox": 2})
    second = index_path(workspace, archive)
    assert first.id == second.id and (second.num_images, second.num_errors) == (5, 0)
    assert sorted(place.name for place in second.root.iterdir()) == ["cat", "fox"]
    assert not list(second.folder.glob(".images*"))


def test_an_archive_with_a_table(workspace: Workspace, image_folder: ImageFolder) -> None:
    folder = image_folder("set", layout="flat names", counts={"x": 4})
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"{'abcd'[number]}.png")
    (folder / "labels.csv").write_text("path,label,group\na.png,cat,1\nb.png,cat,1\nc.png,dog,2\nd.png,dog,2\n")
    dataset = index_path(workspace, shutil.make_archive(str(folder.parent / "table"), "zip", folder))
    assert dataset.layout == "table" and dataset.manifest()["group"].tolist() == ["1", "1", "2", "2"]


def test_progress_and_stop(archived: Callable[..., Path], tmp_path: Path) -> None:
    archive = archived("gztar")
    told: list[tuple[int, int]] = []
    done = unpack(archive, tmp_path / "all", None, lambda *progress: told.append(progress))
    assert done.num_files == 16 and done.num_bytes == sum(f.stat().st_size for f in (tmp_path / "all").rglob("*.png"))
    assert told[-1][1] == archive.stat().st_size and [now for now, _ in told] == sorted(now for now, _ in told)
    with pytest.raises(IntakeStopped):
        unpack(archive, tmp_path / "part", None, None, lambda: len(list((tmp_path / "part").rglob("*.png"))) >= 3)
    assert len(list((tmp_path / "part").rglob("*.png"))) == 3


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_unpacking_that_was_stopped_goes_on(archived: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    archive, into = archived(kind), tmp_path / "into"
    if kind == "zip":
        with zipfile.ZipFile(archive, "a") as more, pytest.warns(UserWarning, match="Duplicate"):
            more.write(archive.parent / "photos" / "dog" / "0001.png", "photos/cat/0000.png")
    whole = unpack(archive, tmp_path / "at once")

    def there() -> dict[str, bytes]:
        return {path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*.png")}

    with pytest.raises(IntakeStopped, match="not unpacked again"):
        unpack(archive, into, None, None, lambda: len(there()) >= 9)
    first = sorted(into.rglob("*.png"))
    nodes = {path: path.stat().st_ino for path in first[:5]}
    about = first[5].stat()
    first[5].write_bytes(b"cut short")  # killed while it wrote: the file has neither its size nor its time
    os.truncate(first[6], about.st_size - 1)
    os.utime(first[6], ns=(about.st_atime_ns, about.st_mtime_ns))
    if kind == "zip":  # as after a power failure; a tar has no checksums
        first[7].write_bytes(bytes(first[7].stat().st_size))
        os.utime(first[7], ns=(about.st_atime_ns, about.st_mtime_ns))
    again = unpack(archive, into, goes_on=True)
    assert again == whole and {path: path.stat().st_ino for path in first[:5]} == nodes
    others = {path.relative_to(tmp_path / "at once").as_posix() for path in (tmp_path / "at once").rglob("*.png")}
    assert there().keys() == others
    assert all(there()[name] == (tmp_path / "at once" / name).read_bytes() for name in others)


def test_a_cancelled_look_at_an_archive_goes_on_unpacking(
    workspace: Workspace, archived: Callable[..., Path], tmp_path: Path
) -> None:
    archive, into = archived(), tmp_path / "into"
    source = open_source(archive)

    def taken(should_stop: Callable[[], bool]) -> object:
        return take_in(source, Reading(), into, None, workspace.downloads, lambda *_: None, should_stop)

    with pytest.raises(IntakeStopped):
        taken(lambda: len(list(into.rglob("*.png"))) >= 3)
    nodes = {path: path.stat().st_ino for path in into.rglob("*.png")}
    taken(lambda: False)
    assert len(list(into.rglob("*.png"))) == 16 and {path: path.stat().st_ino for path in nodes} == nodes
    assert sorted(place.name for place in into.iterdir()) == ["images", "unpacked.json"]
    shutil.rmtree(archive.parent / "photos")
    archived(counts={"cat": 3, "fox": 2})  # another archive of that name
    (into / "unpacked.json").rename(into / "unpacking.json")
    taken(lambda: False)
    assert len(list(into.rglob("*.png"))) == 5, "images of the archive before it are left"


def test_what_holds_no_images_says_what_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("main.py", "print(1)")
        archive.writestr("../up.png", "x")
        archive.writestr("__MACOSX/._cat.png", "x")
    with pytest.raises(
        InputError, match=r"holds no images that can be taken: 1 \.py and 1 entry refused.*'\.\./up\.png'"
    ):
        unpack(tmp_path / "code.zip", tmp_path / "out")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(InputError, match="holds no images"):
        unpack(tmp_path / "empty.tar", tmp_path / "out2")
