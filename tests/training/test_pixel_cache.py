"""Decoded images on disk: found again, kept within bounds, and not lost when a process is killed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import AugmentConfig, RuntimeConfig
from core.errors import DarkroomError
from core.preprocess import PreprocessSpec
from core.training.batching import pixel_cache
from core.training.batching.images import Images
from core.training.batching.pixel_cache import CachedPixels, Filled, PixelStore
from core.training.batching.pixel_sources import open_pixels, training_images
from core.training.batching.pixels import FilePixels, MemoryPixels
from core.training.watch import Watch

SPEC = PreprocessSpec(16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
EACH = 16 * 16 * 3
PLENTY = 10**9


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "PART_BYTES", 4 * EACH)
    monkeypatch.setattr(pixel_cache, "LEFT_FREE", 0)


@pytest.fixture
def images(tmp_path: Path) -> Images:
    generator = np.random.default_rng(0)
    paths, hashes = [f"{number:02}.png" for number in range(22)], []
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (20, 24, 3), np.uint8)).save(tmp_path / path)
        hashes.append(hashlib.blake2b((tmp_path / path).read_bytes(), digest_size=8).hexdigest())
    return Images(tmp_path, paths, np.arange(22), SPEC, hashes)


def _part(images: Images, which: slice) -> Images:
    return Images(
        images.root, images.paths[which], images.labels.numpy()[which].copy(), images.spec, images.hashes[which]
    )


def _fill(store: PixelStore, images: Images, most_bytes: int = PLENTY, **more: object) -> Filled | None:
    return store.fill(images, most_bytes, lambda *_: None, lambda: False, **more)  # type: ignore[arg-type]


def _all(pixels: object, images: Images) -> np.ndarray:
    wanted = list(torch.arange(len(images)).split(5))
    return torch.cat(list(pixels.batches(wanted))).numpy()  # type: ignore[attr-defined]


def _expected(images: Images) -> np.ndarray:
    return np.stack([images.read_planes(index) for index in range(len(images))])


def test_what_comes_from_the_cache_is_what_the_files_hold(images: Images, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", SPEC)
    assert _fill(store, images) == Filled(0, 22, 0)
    again = PixelStore(tmp_path / "cache", replace(SPEC, mean=(0.5,) * 3))  # other numbers, the same pixels
    shuffled = _part(images, slice(None, None, -2))
    assert _fill(again, shuffled) == Filled(11, 0, 0)
    for path in images.paths:
        (images.root / path).unlink()
    np.testing.assert_array_equal(_all(again.open(shuffled, 0), shuffled), _all(store.open(images, 0), images)[::-2])


def test_a_killed_process_loses_one_part_at_most(images: Images, tmp_path: Path) -> None:
    def fill_and_die(done: int, total: int) -> None:
        if done >= 12:
            os.kill(os.getpid(), signal.SIGKILL)

    store = PixelStore(tmp_path / "cache", SPEC)
    child = multiprocessing.get_context("fork").Process(
        target=store.fill, args=(images, PLENTY, fill_and_die, lambda: False)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert _fill(store, images) == Filled(12, 10, 0)
    np.testing.assert_array_equal(_all(store.open(images, 0), images), _expected(images))


def test_stopping_keeps_what_is_whole(images: Images, tmp_path: Path) -> None:
    store, asked = PixelStore(tmp_path / "cache", SPEC), iter([False, False, True])
    assert store.fill(images, PLENTY, lambda *_: None, lambda: next(asked)) is None
    assert _fill(store, images) == Filled(8, 14, 0)


def test_the_cache_keeps_its_bound_and_the_rest_comes_from_the_files(images: Images, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", SPEC)
    assert _fill(store, images, most_bytes=10 * EACH) == Filled(0, 10, 12)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pixels")) == 10 * EACH
    pixels = store.open(images, 2)
    np.testing.assert_array_equal(_all(pixels, images), _expected(images))
    copied: CachedPixels = pickle.loads(pickle.dumps(pixels))  # as loader processes get it where none can be forked
    np.testing.assert_array_equal(copied.read(3), images.read_planes(3))


def test_parts_used_longest_ago_make_room(images: Images, tmp_path: Path) -> None:
    old, new = PixelStore(tmp_path / "cache", replace(SPEC, size=8)), PixelStore(tmp_path / "cache", SPEC)
    _fill(old, images.with_spec(replace(SPEC, size=8)))
    assert _fill(new, images, most_bytes=22 * EACH) == Filled(0, 22, 0)
    assert not list((tmp_path / "cache").glob(f"{old._folder.name}/*"))
    # Parts of the very images that are wanted are never thrown out for the rest of them.
    assert _fill(new, images, most_bytes=5 * EACH) == Filled(22, 0, 0)


def test_damaged_and_abandoned_files_are_made_anew(images: Images, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", SPEC)
    _fill(store, images)
    first, second, *_ = sorted((tmp_path / "cache").rglob("*.pixels"))
    first.write_bytes(first.read_bytes()[:100])
    second.with_name(second.name.replace(".pixels", ".hashes.npy")).unlink()
    long_ago = time.time() - 3600
    os.utime(second, (long_ago, long_ago))
    filled = _fill(store, images)
    assert filled is not None and filled.num_added in (6, 8) and not second.exists()
    np.testing.assert_array_equal(_all(store.open(images, 0), images), _expected(images))


def test_two_processes_fill_the_cache_together(images: Images, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", SPEC)
    assert _fill(store, _part(images, slice(0, 3))) == Filled(0, 3, 0)
    jobs = [multiprocessing.get_context("fork").Process(target=_fill, args=(store, images, PLENTY)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert _fill(store, images) == Filled(22, 0, 0)


def test_shares_make_the_whole_although_one_process_was_there_before_the_other(images: Images, tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "cache", SPEC)
    for rank in range(2):
        assert store.fill(images, PLENTY, lambda *_: None, lambda: False, (rank, 2)) is not None
    assert _fill(store, images) == Filled(22, 0, 0)


def test_an_image_that_vanished_is_named(images: Images, tmp_path: Path) -> None:
    (images.root / "07.png").unlink()
    with pytest.raises(DarkroomError, match="07.png"):
        _fill(PixelStore(tmp_path / "cache", SPEC), images)


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [
        (RuntimeConfig(), MemoryPixels),
        (RuntimeConfig(memory_share=1e-12), CachedPixels),
        (RuntimeConfig(memory_share=1e-12, disk_cache_gb=0), FilePixels),
    ],
)
def test_pixels_are_kept_where_there_is_room(
    images: Images, tmp_path: Path, runtime: RuntimeConfig, kind: type
) -> None:
    said: list[str] = []
    splits = [("training", images, SPEC), ("validation", _part(images, slice(5)), SPEC)]
    watch = Watch(lambda phase, words: said.append(words), lambda: lambda *_: None, lambda: False, said.append)
    found = open_pixels(splits, runtime, tmp_path / "cache", watch)
    assert [type(pixels) for pixels in found] == [kind, kind]
    np.testing.assert_array_equal(_all(found[0], images), _expected(images))
    assert any("memory" in line or "cache" in line for line in said)


def test_crops_are_cut_from_larger_pixels_as_far_as_the_images_have_them(images: Images) -> None:
    assert training_images(images, AugmentConfig(horizontal_flip=True)) is images
    small = images.with_spec(replace(SPEC, size=8))
    assert training_images(small, AugmentConfig(crop_scale=0.08)).spec.size == 12  # one and a half times
    assert training_images(small, AugmentConfig(crop_scale=0.64)).spec.size == 10  # 8 / 0.8
    assert training_images(images, AugmentConfig(crop_scale=0.08)).spec.size == 20  # their shorter side
