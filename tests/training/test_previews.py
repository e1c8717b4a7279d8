"""What augmentation does to one's own images, and what the network sees first, as pictures one can check."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import AugmentConfig, build_config, flatten
from core.data.splits import divide
from core.preprocess import PreprocessSpec
from core.runs.previews import PREVIEWS
from core.training.batching.contact_sheet import GAP, as_pictures, contact_sheet, first_batch
from core.training.batching.images import Images
from core.training.batching.loaders import ImageBatches
from core.training.trials.previews import VARIANTS, draw, only, switched_on
from tests.conftest import Trained
from tests.waiting import wait_until

SPEC = PreprocessSpec(16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def _images(folder: Path, count: int = 4) -> Images:
    generator = np.random.default_rng(0)
    paths = [f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / path)
    return Images(folder, paths, np.arange(count) % 2, SPEC)


def test_the_first_batch_is_what_the_network_gets(tmp_path: Path) -> None:
    images = _images(tmp_path, 40)
    pixels = images.decode(lambda *_: None, lambda: False)
    batches = ImageBatches(images, pixels, 36, torch.device("cpu"), shuffle_seed=0)
    pictures, labels = first_batch(batches, ["cat", "dog"])
    inputs, targets = next(batches.epoch(1))
    np.testing.assert_array_equal(pictures, as_pictures(inputs, SPEC)[:32])
    np.testing.assert_array_equal(pictures[0], images.read(int(batches.order.indices(1)[0])))
    assert labels == [["cat", "dog"][target] for target in targets[:32].tolist()]


def test_mixed_labels_are_read_out(tmp_path: Path) -> None:
    images = _images(tmp_path)
    mixing = AugmentConfig(mixup=1.0)
    pixels = images.decode(lambda *_: None, lambda: False)
    batches = ImageBatches(images, pixels, 4, torch.device("cpu"), shuffle_seed=0, augmentation=mixing, num_classes=2)
    _, labels = first_batch(batches, ["cat", "dog"])
    shares = [sum(int(part.split()[1]) for part in label.split(", ")) for label in labels if " %" in label]
    assert shares and all(share == 100 for share in shares)


def test_a_sheet_has_its_pictures_row_by_row() -> None:
    pictures = np.stack([np.full((16, 16, 3), value, np.uint8) for value in (10, 20, 30)])
    sheet = np.asarray(Image.open(BytesIO(contact_sheet(pictures, 2))))
    assert sheet.shape == (2 * 64 + GAP, 2 * 64 + GAP, 4)
    assert sheet[0, 0].tolist() == [10, 10, 10, 255] and sheet[0, -1].tolist() == [20, 20, 20, 255]
    assert sheet[-1, 0].tolist() == [30, 30, 30, 255] and sheet[-1, -1, 3] == 0


def test_each_change_is_drawn_by_itself_beside_the_image_as_it_is(tmp_path: Path) -> None:
    augment = AugmentConfig(horizontal_flip=True, brightness=0.5, policy="randaugment", policy_strength=5, views=3)
    assert switched_on(augment) == ["horizontal_flip", "brightness", "policy"]
    assert only(augment, "policy") == AugmentConfig(policy="randaugment", policy_strength=5)
    images = _images(tmp_path)
    drawn = draw(images, only(augment, "horizontal_flip"), 2, seed=0).reshape(4, 1 + VARIANTS, 16, 16, 3)
    mirrored = 0
    for index in range(4):
        plain = images.read(index)
        np.testing.assert_array_equal(drawn[index, 0], plain)
        for variant in drawn[index, 1:]:
            is_mirrored = np.array_equal(variant, plain[:, ::-1])
            mirrored += is_mirrored
            assert is_mirrored or np.array_equal(variant, plain)
    assert 0 < mirrored < 4 * VARIANTS


def test_the_helper_draws_previews_of_a_dataset(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, forked_jobs: None
) -> None:
    monkeypatch.setenv("DARKROOM_HOME", str(trained.workspace.root))
    values = flatten(trained.run.config) | {"augment.cutmix": 1.0, "augment.rotate_degrees": 30.0}
    config = build_config(values, "from-scratch")
    divided = divide(trained.workspace, config)
    assert PREVIEWS.ask(trained.workspace, config, divided) is None
    wait_until(lambda: PREVIEWS.ask(trained.workspace, config, divided) is not None, "the previews", 120)
    found = PREVIEWS.ask(trained.workspace, config, divided)
    assert found is not None and [one.change for one in found][0] == "all"
    assert {"augment.rotate_degrees", "augment.cutmix"} < {one.change for one in found}
    assert Image.open(found[0].picture).size[0] > 6 * 64
    other = build_config(values | {"optim.learning_rate": 0.02}, "from-scratch")  # changes no picture
    assert PREVIEWS.ask(trained.workspace, other, divided) == found
