"""The manifest: every file a row, many processes or one, each file read once, and sources left as they were."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from core.data import reading_processes
from core.data.checks import MEASURES_VERSION
from core.data.datasets import index_path
from core.data.index import IndexingStopped, build_manifest
from core.data.kept import kept
from core.data.manifest import COLUMNS, fingerprint, read_manifest, usable, with_all_columns, write_manifest
from core.data.probe import Facts, probe
from core.data.readers import ReadingStopped, read_files
from core.data.reading_processes import CHUNK, FEW, read_ahead, take_early
from core.data.shrink import THUMB
from core.data.sources import recognise
from core.errors import DarkroomError
from core.workspace import Workspace
from tests.conftest import ImageFolder

ODD_NAMES = ['it\'s "one".PNG', "猫.png", "<script>alert(1)<.png", "](x).png", "a b\nc.png", "same.png", "same.PNG"]


def test_every_file_is_a_row(image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    sound = (root / "cat" / "0000.png").read_bytes()
    for name in ODD_NAMES:
        (root / "cat" / name).write_bytes(sound)
    (root / "dog" / "zero.jpg").touch()
    (root / "dog" / "short.png").write_bytes(sound[:300])
    (root / "dog" / "png-inside.jpg").write_bytes(sound)
    (root / "dog" / "gone.jpg").symlink_to(root / "nothing")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}
    frame = build_manifest(recognise(root))
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    assert frame["path"].is_monotonic_increasing
    assert len(frame) == 16 + len(ODD_NAMES) + 4
    assert frame.loc[frame["error"].notna(), "path"].tolist() == ["dog/gone.jpg", "dog/short.png", "dog/zero.jpg"]
    assert usable(frame)["width"].eq(24).all() and usable(frame)["height"].eq(18).all()
    assert set(usable(frame)["format"]) == {"PNG"}
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before}
    write_manifest(root.parent, frame)
    pd.testing.assert_frame_equal(read_manifest(root.parent), frame)


def test_many_processes_give_what_one_gives(image_folder: Callable[..., Path]) -> None:
    root = image_folder(counts={"a": FEW, "b": CHUNK + 1}, size=(5, 4))
    (root / "a" / "broken.jpg").write_bytes(b"no")
    recognised = recognise(root)
    seen: list[tuple[int, int]] = []
    frame = build_manifest(recognised, on_progress=lambda done, total: seen.append((done, total)))
    one_by_one = [probe(str(root / path)) for path in recognised.files["path"]]
    assert frame["content_hash"].tolist() == [facts.content_hash for facts in one_by_one]
    assert frame["error"].notna().sum() == 1
    assert seen == sorted(seen) and seen[-1] == (len(frame), len(frame))


def test_unchanged_files_are_not_read_again(image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    first = build_manifest(recognise(root))
    paths = sorted(root.rglob("*.png"))
    for path in paths[:4]:  # same size, same time: would show a hash of its own if it were opened
        about = path.stat()
        path.write_bytes(bytes(about.st_size))
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    Image.fromarray(np.zeros((7, 9), np.uint8)).save(paths[4])
    paths[5].unlink()
    (root / "dog" / "new.png").write_bytes(paths[6].read_bytes())
    second = build_manifest(recognise(root), previous=first)
    old, new = first.set_index("path"), second.set_index("path")
    kept = [path.relative_to(root).as_posix() for path in paths[:4] + paths[6:]]
    assert (new.loc[kept, "content_hash"] == old.loc[kept, "content_hash"]).all()
    assert new.loc["cat/0004.png", ["width", "height", "mode"]].tolist() == [9, 7, "L"]
    assert set(new.index) - set(old.index) == {"dog/new.png"}
    assert set(old.index) - set(new.index) == {"cat/0005.png"}


def test_files_measured_by_another_version_are_read_again(image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    first = build_manifest(recognise(root)).assign(entropy=np.float32(0.125))
    assert build_manifest(recognise(root), previous=first)["entropy"].eq(0.125).all()
    older = first.assign(measured_by=np.where(first["label"] == "cat", MEASURES_VERSION - 1, MEASURES_VERSION))
    again = build_manifest(recognise(root), previous=older.astype({"measured_by": "int32"}))
    assert (again["entropy"].eq(0.125) == (again["label"] != "cat")).all()
    assert again["measured_by"].eq(MEASURES_VERSION).all()
    without = with_all_columns(first.drop(columns="measured_by"))  # a manifest from before there was a version
    assert not build_manifest(recognise(root), previous=without)["entropy"].eq(0.125).any()


def test_a_file_that_could_not_be_read_is_tried_again(image_folder: Callable[..., Path]) -> None:
    root = image_folder()
    target = root / "cat" / "0000.png"
    sound, about = target.read_bytes(), target.stat()
    target.write_bytes(bytes(len(sound)))
    first = build_manifest(recognise(root))
    assert first["error"].notna().sum() == 1
    target.write_bytes(sound)
    os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert build_manifest(recognise(root), previous=first)["error"].isna().all()


@pytest.mark.parametrize("count", [20, FEW + CHUNK])
def test_stopping_stores_nothing_and_leaves_no_process(image_folder: Callable[..., Path], count: int) -> None:
    recognised = recognise(image_folder(counts={"a": count, "b": 3}, size=(5, 4)))
    with pytest.raises(IndexingStopped):
        build_manifest(recognised, should_stop=lambda: True)
    assert not _reading_processes()


def test_a_killed_reader_costs_nothing_that_is_sound(image_folder: Callable[..., Path]) -> None:
    root = image_folder(counts={"a": 2}, size=(400, 400))
    paths = [f"a/{n}.png" for n in range(8 * CHUNK)]
    for path in paths:
        os.link(root / "a" / "0000.png", root / path)
    killed: list[int] = []
    told: dict[str, Facts] = {}

    def kill_one(some: Sequence[str], facts: Sequence[Facts]) -> None:
        told.update(zip(some, facts, strict=True))
        for process in _reading_processes()[:1] if not killed else []:
            process.kill()
            killed.append(process.pid)

    read_files(root, paths, kill_one)
    assert killed
    assert set(told) == set(paths)
    assert {one.error for one in told.values()} == {None} and len({one.content_hash for one in told.values()}) == 1
    assert not _reading_processes()


def test_a_failing_listener_leaves_no_process(image_folder: Callable[..., Path]) -> None:
    root = image_folder(counts={"a": FEW + 1}, size=(5, 4))

    def fail(some: Sequence[str], facts: Sequence[Facts]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read_files(root, [path.relative_to(root).as_posix() for path in root.rglob("*.png")], fail)
    assert not _reading_processes()
    with pytest.raises(ReadingStopped):
        read_files(root, ["a/0000.png"], fail, should_stop=lambda: True)


def test_fingerprint_follows_content_and_not_order(image_folder: Callable[..., Path]) -> None:
    frame = build_manifest(recognise(image_folder()))
    assert fingerprint(frame) == fingerprint(frame.sample(frac=1, random_state=3))
    others = {"label": "other", "split": "test", "content_hash": "0" * 16, "error": "Damaged.", "path": "x"}
    for column, value in others.items():
        changed = frame.copy()
        changed.loc[0, column] = value
        assert fingerprint(changed) != fingerprint(frame), column


def test_a_missing_or_damaged_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="has no manifest.*Index the folder"):
        read_manifest(tmp_path)
    for damage in (b"", b"PAR1 half a file"):
        (tmp_path / "manifest.parquet").write_bytes(damage)
        with pytest.raises(DarkroomError, match="damaged.*Index the folder"):
            read_manifest(tmp_path)
    pd.DataFrame({"path": ["a"]}).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(DarkroomError, match="damaged"):
        read_manifest(tmp_path)


def _reading_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        try:
            if "core.data.probe" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("killed", [False, True])
def test_reading_ahead_finds_the_same(workspace: Workspace, image_folder: Callable[..., Path], killed: bool) -> None:
    root = image_folder(counts={"a": FEW, "b": 5 * CHUNK}, size=(70, 50))
    (root / "stray.png").write_bytes((root / "a" / "0000.png").read_bytes())  # of no class: read, and not wanted
    (root / "a" / "0001.png").write_bytes(b"no image")
    paths = recognise(root).files["path"].tolist()
    alone, ahead = dict[str, Facts](), dict[str, Facts]()
    read_files(root, paths, lambda some, facts: alone.update(zip(some, facts, strict=True)))
    read_ahead(["index", str(root), "--json"])
    early = take_early(root, workspace.thumbnails)
    assert early and all(reader.asked for reader in early)
    if killed:
        early[0].kill()
    reading_processes._early.extend(early)
    read_files(root, paths, lambda some, facts: ahead.update(zip(some, facts, strict=True)), workspace.thumbnails)
    assert ahead == alone
    assert kept(workspace.thumbnails, str(alone["a/0000.png"].content_hash), THUMB)
    assert not _reading_processes()


def test_nothing_is_read_ahead_of_a_folder_that_is_known(workspace: Workspace, image_folder: ImageFolder) -> None:
    root = image_folder(counts={"a": FEW, "b": 5}, size=(5, 4))
    read_ahead(["index", str(root.parent), "--other"])
    index_path(workspace, root)
    read_ahead(["index", str(root)])
    read_ahead(["train", str(root)])
    read_ahead(["index", "torchvision:CIFAR10"])
    assert not take_early(root, workspace.thumbnails)
