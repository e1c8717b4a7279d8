"""Batches show every image once, the same from memory as from disk, and augmentation moves what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import AugmentConfig
from core.errors import DarkroomError
from core.preprocess import PreprocessSpec, normalise
from core.training.augment import augment
from core.training.features import compute_features
from core.training.loaders import ImageBatches, Images, TensorBatches, fits_in_memory, seeded

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
    assert np.allclose(inputs.numpy(), normalise(_decoded(images), SPEC), atol=1e-6)


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


@pytest.mark.parametrize(("count", "sizes"), [(9, [4, 5]), (8, [4, 4]), (10, [4, 4, 2]), (1, [1])])
def test_no_training_batch_holds_a_single_image(count: int, sizes: list[int]) -> None:
    batches = TensorBatches(torch.zeros(count, 1), torch.zeros(count), 4, CPU, shuffle_seed=0)
    assert [len(labels) for _, labels in batches.epoch(1)] == sizes and len(batches) == len(sizes)


def test_decoding_stops_when_asked(images: Images) -> None:
    assert images.decode(lambda done, total: None, lambda: True) is None


def test_features_keep_the_order_and_report_progress(images: Images) -> None:
    seen: list[tuple[int, int]] = []
    features = compute_features(
        lambda x: x.mean(axis=(2, 3)), images, lambda *progress: seen.append(progress), lambda: False
    )
    assert features is not None
    assert np.allclose(features, normalise(_decoded(images), SPEC).mean(axis=(2, 3)), atol=1e-6)
    assert seen == [(16, 21), (21, 21)]
    assert compute_features(lambda x: x, images, lambda *_: None, lambda: True) is None


def test_memory_is_measured_against_what_is_free() -> None:
    assert fits_in_memory(1, 0.1) and not fits_in_memory(10**15, 0.9)


def _dot(x: int, y: int) -> torch.Tensor:
    image = torch.zeros(1, 3, 9, 9)
    image[0, :, y, x] = 1
    return image


def test_no_augmentation_changes_nothing() -> None:
    image = torch.rand(2, 3, 9, 9)
    assert torch.equal(augment(image, AugmentConfig(), seeded(0)), image)


def test_flips_mirror_about_half_of_the_images() -> None:
    batch = _dot(1, 4).repeat(400, 1, 1, 1)
    flipped = augment(batch, AugmentConfig(horizontal_flip=True), seeded(0))
    mirrored = sum(torch.allclose(image, _dot(7, 4)[0], atol=1e-4) for image in flipped)
    untouched = sum(torch.allclose(image, _dot(1, 4)[0], atol=1e-4) for image in flipped)
    assert mirrored + untouched == 400 and 150 < mirrored < 250


def test_shifts_stay_within_their_bound() -> None:
    batch = _dot(4, 4).repeat(200, 1, 1, 1)
    moved = augment(batch, AugmentConfig(shift=0.2), seeded(0))[:, 0]
    weights = moved / moved.sum(dim=(1, 2), keepdim=True)
    centre = (weights.sum(dim=1) * torch.arange(9.0)).sum(dim=1)
    assert (centre - 4).abs().max() <= 0.2 * 9 + 1e-3 and centre.std() > 0.5


def test_turning_keeps_the_centre_and_moves_the_rest() -> None:
    turned = augment(_dot(4, 4).repeat(50, 1, 1, 1), AugmentConfig(rotate_degrees=90), seeded(0))
    assert (turned[:, 0, 4, 4] > 0.9).all()
    corner = augment(_dot(0, 4).repeat(50, 1, 1, 1), AugmentConfig(rotate_degrees=90), seeded(0))
    assert (corner[:, 0, 4, 0] < 0.5).sum() > 25


def test_brightness_stays_in_range_and_differs_from_image_to_image() -> None:
    grey = torch.full((100, 3, 4, 4), 0.8)
    changed = augment(grey, AugmentConfig(brightness=0.5), seeded(0))[:, 0, 0, 0]
    assert changed.max() <= 1 and changed.min() >= 0.4 - 1e-6 and changed.unique().numel() > 50


def test_augmentation_repeats_for_the_same_epoch_only(images: Images) -> None:
    batches = ImageBatches(images, _decoded(images), 8, CPU, shuffle_seed=1, augmentation=AugmentConfig(shift=0.3))
    first, again, other = (torch.cat([b for b, _ in batches.epoch(n)]) for n in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
