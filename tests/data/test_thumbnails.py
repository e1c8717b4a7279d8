"""Thumbnails: of the manifest's images only, small, upright, and never of a file that is no longer the one indexed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.datasets import Dataset, index_path
from core.data.kept import kept
from core.data.thumbnails import LARGE, THUMB, thumbnail, url
from core.errors import ImageReadError, InputError
from core.workspace import Workspace


@pytest.fixture
def photos(workspace: Workspace, image_folder: Callable[..., Path]) -> Dataset:
    root = image_folder(counts={"cat": 3, "dog": 3}, size=(600, 300), suffix=".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "cat" / "0001.jpg").save(root / "cat" / "turned.jpg", exif=exif)
    Image.new("RGB", (40, 30), "red").save(root / "dog" / "icon.png")
    Image.new("RGB", (3000, 2), "red").save(root / "dog" / "thin.png")
    (root / "dog" / "](x) 猫 <b>.png").write_bytes((root / "dog" / "icon.png").read_bytes())
    (root / "dog" / "zero.png").touch()
    return index_path(workspace, root)


def hash_at(dataset: Dataset, path: str) -> str:
    frame = dataset.manifest()
    return str(frame.loc[frame["path"] == path, "content_hash"].item())


@pytest.mark.parametrize(
    ("path", "size", "expected", "kind"),
    [
        ("cat/0000.jpg", THUMB, (150, 75), "image/jpeg"),
        ("cat/0000.jpg", LARGE, (600, 300), "image/jpeg"),
        ("cat/turned.jpg", THUMB, (75, 150), "image/jpeg"),
        ("dog/icon.png", THUMB, (40, 30), "image/png"),
        ("dog/thin.png", THUMB, (158, 1), "image/jpeg"),
    ],
)
def test_sizes(
    workspace: Workspace, photos: Dataset, path: str, size: int, expected: tuple[int, int], kind: str
) -> None:
    for _ in range(2):  # made, then kept
        data, media_type = thumbnail(workspace, photos.id, hash_at(photos, path), size)
        assert media_type == kind
        assert Image.open(BytesIO(data)).size == expected


def test_pixel_art_is_sent_exactly(workspace: Workspace, image_folder: Callable[..., Path]) -> None:
    dataset = index_path(workspace, image_folder())
    data, _ = thumbnail(workspace, dataset.id, hash_at(dataset, "cat/0003.png"), THUMB)
    assert np.array_equal(Image.open(BytesIO(data)), Image.open(dataset.root / "cat" / "0003.png"))


def test_only_what_the_manifest_holds(workspace: Workspace, photos: Dataset) -> None:
    good = hash_at(photos, "cat/0000.jpg")
    for dataset, content_hash, size in [
        (photos.id, "0" * 16, THUMB),
        (photos.id, good.upper() + "x", THUMB),
        (photos.id, "../../etc/passwd", THUMB),
        (photos.id, "", THUMB),
        (photos.id, hash_at(photos, "dog/zero.png"), THUMB),
        (photos.id, good, 300),
        ("nothing", good, THUMB),
        ("../datasets", good, THUMB),
    ]:
        with pytest.raises(InputError):
            thumbnail(workspace, dataset, content_hash, size)


def test_a_file_that_changed_or_vanished_is_not_shown(workspace: Workspace, photos: Dataset) -> None:
    wanted, path = hash_at(photos, "cat/0000.jpg"), photos.root / "cat" / "0000.jpg"
    first = thumbnail(workspace, photos.id, wanted, THUMB)
    os.utime(path)  # touched, but the same image
    assert thumbnail(workspace, photos.id, wanted, THUMB) == first
    shutil.copy(photos.root / "cat" / "0002.jpg", path)
    with pytest.raises(ImageReadError, match="changed after it was indexed"):
        thumbnail(workspace, photos.id, wanted, THUMB)
    path.unlink()
    with pytest.raises(ImageReadError):
        thumbnail(workspace, photos.id, wanted, THUMB)
    assert thumbnail(workspace, photos.id, hash_at(photos, "cat/0002.jpg"), THUMB)[1] == "image/jpeg"


def test_another_file_of_the_same_content_stands_in(workspace: Workspace, photos: Dataset) -> None:
    wanted = hash_at(photos, "dog/icon.png")
    (photos.root / "dog" / "icon.png").unlink()
    assert thumbnail(workspace, photos.id, wanted, THUMB)[1] == "image/png"


def test_indexing_again_is_seen(workspace: Workspace, photos: Dataset) -> None:
    thumbnail(workspace, photos.id, hash_at(photos, "cat/0000.jpg"), THUMB)
    Image.new("RGB", (90, 90), "blue").save(photos.root / "cat" / "new.png")
    new = hash_at(index_path(workspace, photos.root), "cat/new.png")
    assert thumbnail(workspace, photos.id, new, THUMB)[1] == "image/jpeg"


def test_a_whole_gallery_at_once_and_a_torn_file_in_the_cache(workspace: Workspace, photos: Dataset) -> None:
    wanted = hash_at(photos, "cat/0000.jpg")
    with ThreadPoolExecutor(16) as browser:
        answers = set(browser.map(lambda _: thumbnail(workspace, photos.id, wanted, THUMB), range(32)))
    assert len(answers) == 1
    store = workspace.thumbnails / "packs.sqlite"
    whole = store.read_bytes()
    for torn in (b"", b"no database" * 999, whole[: len(whole) // 2]):
        store.write_bytes(torn)
        for _ in range(2):
            assert thumbnail(workspace, photos.id, wanted, THUMB) in answers


def test_indexing_keeps_what_would_be_made_on_demand(workspace: Workspace, photos: Dataset) -> None:
    large = photos.manifest().query("error.isna() and (width > 64 or height > 64)")
    indexed = {one: kept(workspace.thumbnails, one, THUMB) for one in large["content_hash"]}
    assert indexed and None not in indexed.values()
    assert not any(kept(workspace.thumbnails, one, LARGE) for one in indexed)
    shutil.rmtree(workspace.thumbnails)
    assert indexed == {one: thumbnail(workspace, photos.id, one, THUMB)[0] for one in indexed}
    assert indexed == {one: kept(workspace.thumbnails, one, THUMB) for one in indexed}


def test_url() -> None:
    assert url("digits", "0123456789abcdef") == "/thumb/160/digits/0123456789abcdef"
    assert url("digits", "0123456789abcdef", LARGE) == "/thumb/1024/digits/0123456789abcdef"
