"""Batches show every image once, the same from memory as from disk, however they are cut and shared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import AugmentConfig
from core.errors import DarkroomError
from core.preprocess import PreprocessSpec, normalise
from core.training.backbone.engines import Engine
from core.training.backbone.features import compute_features
from core.training.batching import pixels
from core.training.batching.loaders import ImageBatches, Images, TensorBatches, fits_in_memory
from core.training.batching.pixels import MemoryPixels, run_ahead
from core.training.batching.sampling import Order, Shard

CPU = torch.device("cpu")
SPEC = PreprocessSpec(16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


@pytest.fixture
def images(tmp_path: Path) -> Images:
    generator = np.random.default_rng(0)
    paths = [f"{number:02}.png" for number in range(21)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / path)
    return Images(tmp_path, paths, np.arange(21), SPEC)


def _decoded(images: Images) -> np.ndarray:
    pixels = images.decode(lambda done, total: None, lambda: False)
    assert pixels is not None
    return pixels


def test_every_image_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    batches = TensorBatches(torch.arange(10.0)[:, None], torch.arange(10), 4, CPU, shuffle_seed=5)
    first, second = ([label for _, labels in batches.epoch(n) for label in labels.tolist()] for n in (1, 2))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert first == [label for _, labels in batches.epoch(1) for label in labels.tolist()]
    assert len(batches) == 3


def test_memory_and_disk_give_the_same_batches(images: Images) -> None:
    memory = ImageBatches(images, _decoded(images), 8, CPU, shuffle_seed=1)
    disk = ImageBatches(images, None, 8, CPU, shuffle_seed=1, num_workers=2)
    for (a, labels_a), (b, labels_b) in zip(memory.epoch(3), disk.epoch(3), strict=True):
        assert torch.equal(a, b) and torch.equal(labels_a, labels_b)


def test_training_sees_the_numbers_that_classifying_sees(images: Images) -> None:
    inputs = torch.cat([batch for batch, _ in ImageBatches(images, _decoded(images), 8, CPU).epoch(0)])
    assert np.allclose(inputs.numpy(), normalise(_decoded(images).transpose(0, 2, 3, 1), SPEC), atol=1e-6)


def test_an_image_that_vanished_is_named(images: Images) -> None:
    (images.root / "07.png").unlink()
    with pytest.raises(DarkroomError, match="07.png.*no longer there.*index it again"):
        _decoded(images)


def test_an_image_that_vanished_from_disk_is_named_in_one_line(images: Images) -> None:
    (images.root / "07.png").unlink()
    disk = ImageBatches(images, None, 8, CPU, num_workers=2)
    with pytest.raises(DarkroomError, match="07.png") as caught:
        list(disk.epoch(0))
    assert "Traceback" not in str(caught.value)


def test_reading_files_takes_no_random_number_from_dropout(images: Images) -> None:
    state = torch.get_rng_state()
    assert len(list(ImageBatches(images, None, 8, CPU, shuffle_seed=1).epoch(1))) == 3
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("num_images", "batch_size", "processes"), [(13, 3, 2), (100, 12, 8), (16, 4, 2), (9, 8, 2)])
def test_processes_that_share_batches_have_as_many_each(num_images: int, batch_size: int, processes: int) -> None:
    shards = [Shard(rank, processes) for rank in range(processes)]
    spans = Order(num_images, batch_size, seed=0, shard=shards[0]).spans()
    assert all(first < last for span in spans for first, last in (shard.part(*span) for shard in shards))
    assert spans[0][0] == 0 and spans[-1][1] == num_images


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (1, [1])])
def test_no_training_batch_holds_a_single_image(count: int, sizes: list[int]) -> None:
    batches = TensorBatches(torch.zeros(count, 1), torch.zeros(count), 4, CPU, shuffle_seed=0)
    assert [len(labels) for _, labels in batches.epoch(1)] == sizes and len(batches) == len(sizes)


def test_decoding_stops_when_asked(images: Images) -> None:
    assert images.decode(lambda done, total: None, lambda: True) is None


def test_processes_decode_what_threads_decode(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, seen = _decoded(images), list[tuple[int, int]]()
    monkeypatch.setattr(pixels, "MANY", 21)
    monkeypatch.setattr(pixels, "_PART", 8)
    kept = MemoryPixels.decoded(images, lambda *progress: seen.append(progress), lambda: False)
    assert kept is not None and seen == [(8, 21), (16, 21), (21, 21)]
    assert np.array_equal(torch.cat(list(kept.batches([torch.arange(21)]))), expected)
    assert MemoryPixels.decoded(images, lambda *_: None, lambda: True) is None
    (images.root / "07.png").unlink()
    with pytest.raises(DarkroomError, match="07.png.*no longer there"):
        MemoryPixels.decoded(images, lambda *_: None, lambda: False)


@pytest.mark.parametrize("at_once", [1, 2])
def test_features_keep_the_order_and_report_progress(images: Images, at_once: int) -> None:
    seen: list[tuple[int, int]] = []
    features = compute_features(
        Engine(lambda x: x.mean(axis=(2, 3)), at_once), images, lambda *progress: seen.append(progress), lambda: False
    )
    assert features is not None
    assert np.allclose(features, normalise(_decoded(images).transpose(0, 2, 3, 1), SPEC).mean(axis=(2, 3)), atol=1e-6)
    assert seen == [(16, 21), (21, 21)]
    assert compute_features(Engine(lambda x: x), images, lambda *_: None, lambda: True) is None


def test_memory_is_measured_against_what_is_free() -> None:
    assert fits_in_memory(1, 0.1) and not fits_in_memory(10**15, 0.9)


def test_augmentation_repeats_for_the_same_epoch_only(images: Images) -> None:
    batches = ImageBatches(images, _decoded(images), 8, CPU, shuffle_seed=1, augmentation=AugmentConfig(shift=0.3))
    first, again, other = (torch.cat([b for b, _ in batches.epoch(n)]) for n in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


EVERYTHING = AugmentConfig(
    crop_scale=0.5, horizontal_flip=True, vertical_flip=True, shift=0.1, zoom=0.1, rotate_degrees=10, brightness=0.2,
    contrast=0.2, saturation=0.2, hue=0.1, policy="randaugment", erasing=0.5,
)  # fmt: skip


def test_an_image_is_changed_the_same_whatever_the_batch_size(images: Images) -> None:
    batches = ImageBatches(images, _decoded(images), 8, CPU, shuffle_seed=1, augmentation=EVERYTHING)
    whole = torch.cat([inputs for inputs, _ in batches.epoch(2)])
    halved = torch.cat([inputs for inputs, _ in batches.epoch(2, 8, 4)])
    assert torch.allclose(halved, whole[8:], atol=1e-5)


@pytest.mark.parametrize("mixing", [AugmentConfig(mixup=1.0), AugmentConfig(cutmix=1.0), AugmentConfig(shift=0.2)])
def test_processes_share_changed_and_mixed_batches(images: Images, mixing: AugmentConfig) -> None:
    def run(shard: Shard) -> list[tuple[torch.Tensor, torch.Tensor]]:
        options = {"shuffle_seed": 1, "augmentation": mixing, "num_classes": 21, "shard": shard}
        return list(ImageBatches(images, _decoded(images), 8, CPU, **options).epoch(1))  # type: ignore[arg-type]

    alone, first, second = run(Shard()), run(Shard(0, 2)), run(Shard(1, 2))
    assert len(alone) == len(first) == len(second) == 3
    for whole, one, other in zip(alone, first, second, strict=True):
        assert torch.allclose(torch.cat([one[0], other[0]]), whole[0], atol=1e-6)
        assert torch.allclose(torch.cat([one[1], other[1]]), whole[1], atol=1e-6)


def test_larger_pixels_than_the_network_wants_come_out_at_its_size(images: Images) -> None:
    larger = images.with_spec(replace(SPEC, size=24))
    pixels = larger.decode(lambda *_: None, lambda: False)
    batches = ImageBatches(images, pixels, 8, CPU, shuffle_seed=1, augmentation=AugmentConfig(crop_scale=0.4))
    assert [inputs.shape for inputs, _ in batches.epoch(1)] == [(8, 3, 16, 16), (8, 3, 16, 16), (5, 3, 16, 16)]


def test_batches_made_ahead_come_in_order_and_pass_errors_on() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise DarkroomError("gone")

    seen = []
    with pytest.raises(DarkroomError, match="gone"):
        for item in run_ahead(items()):
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]
    endless = run_ahead(iter(lambda: 1, 2))
    assert next(endless) == 1
    endless.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "batches"]
