"""What a run learns from: features in the images' order, of changed copies too, and decoded before they are needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.architectures import OFFLINE
from core.config import AugmentConfig, PreprocessConfig, TrainConfig, build_config
from core.data.manifest import content_keys, usable
from core.errors import DarkroomError
from core.preprocess import PreprocessSpec, normalise
from core.training.backbone.feature_store import FeatureStore
from core.training.backbone.features import head_logits
from core.training.backbone.kept_features import KeptFeatures
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.images import Images
from core.training.early import decode_early, most_likely_kept, offline_spec
from core.training.materials import Material, Places, feature_material, image_material
from core.training.models import make_spec
from core.training.watch import Stopped, Watch
from core.workspace import REPOSITORY, Workspace
from tests.conftest import Trained

CPU = torch.device("cpu")
PLAIN = AugmentConfig()
SPEC = PreprocessSpec(16, "squash", "bilinear", (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
MEANS = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # mirrored images have the same features
QUIET = Watch(lambda *_: None, lambda: lambda *_: None, lambda: False, lambda _: None)


@pytest.fixture
def splits(tmp_path: Path) -> list[Images]:
    generator = np.random.default_rng(0)
    found = []
    for name, count in (("train", 40), ("val", 9), ("test", 7)):
        paths = [f"{name}-{number:02}.png" for number in range(count)]
        for path in paths:
            Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / path)
        hashes = [hashlib.blake2b(path.encode(), digest_size=8).hexdigest() for path in paths]
        found.append(Images(tmp_path, paths, np.arange(count) % 3, SPEC, hashes))
    return found


def _expected(images: Images) -> np.ndarray:
    pixels = np.stack([images.read(index) for index in range(len(images))])
    return normalise(pixels, SPEC).mean(axis=(2, 3))


def _features(splits: list[Images], tmp_path: Path, augment: AugmentConfig = PLAIN, watch: Watch = QUIET) -> Material:
    config = TrainConfig(augment=augment)
    places = Places(tmp_path / "pixels", tmp_path / "backbones", tmp_path / "features")
    (tmp_path / "backbones").mkdir(exist_ok=True)
    return feature_material(MEANS, *splits, config, 3, CPU, places, watch)


def test_features_are_those_of_the_images_and_the_held_out_ones_are_kept(splits: list[Images], tmp_path: Path) -> None:
    material = _features(splits, tmp_path)
    train, val, test = splits
    inputs, labels = (torch.cat(parts) for parts in zip(*material.val.epoch(0), strict=True))
    assert np.allclose(inputs.numpy(), _expected(val), atol=1e-5) and torch.equal(labels, val.labels)
    assert sum(len(part) for part, _ in material.train.epoch(1)) == len(train)
    assert list(material.held_out) == val.paths + test.paths
    assert np.allclose(np.stack([material.held_out[path] for path in test.paths]), _expected(test), atol=1e-5)
    head = nn.Linear(3, 3)
    logits = head_logits(head, material.held_out)
    assert np.allclose(logits[test.paths[2]], head(torch.from_numpy(_expected(test)[2])).detach(), atol=1e-5)


def _known(material: Material) -> dict[str, list[float]]:
    inputs = torch.cat([part for part, _ in material.train.epoch(1)])
    return {"train": inputs.tolist()} | {path: row.tolist() for path, row in material.held_out.items()}


def test_a_later_run_takes_features_from_an_earlier_one_whatever_the_division(
    splits: list[Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _known(_features(splits, tmp_path))
    read: list[str] = []
    really = Images.read
    monkeypatch.setattr(Images, "read", lambda self, index: (read.append(self.paths[index]), really(self, index))[1])
    lines: list[str] = []
    watch = Watch(lambda *_: None, lambda: lambda *_: None, lambda: False, lines.append)
    assert _known(_features(splits, tmp_path, watch=watch)) == first
    num_compared = 4  # each run compares the engine with torch on a few images
    assert len(read) == num_compared and "Features of 56 images are known from an earlier run." in lines
    # Two training images are now for testing, one of those is new.
    train, val, test = splits
    new = tmp_path / "new.png"
    Image.fromarray(np.full((16, 16, 3), 77, np.uint8)).save(new)
    more = [*train.paths[:2], new.name, *test.paths]
    assert train.hashes and test.hashes
    tested = Images(tmp_path, more, np.zeros(10, int), SPEC, [*train.hashes[:2], "f" * 16, *test.hashes])
    read.clear()
    material = _features([train.some(np.arange(2, 40)), val, tested], tmp_path)
    assert len(read) == num_compared + 1 and new.name in read
    assert np.allclose(np.stack([material.held_out[path] for path in more]), _expected(tested), atol=1e-5)


def test_features_of_other_weights_or_another_way_of_decoding_are_not_taken(
    splits: list[Images], tmp_path: Path
) -> None:
    kept = KeptFeatures(tmp_path, SPEC, "one")
    kept.add(splits[1], np.ones((9, 3), np.float32))
    assert kept.load(splits[1])[0].all() and kept.knows(splits[1]).all() and not kept.knows(splits[2]).any()
    assert not KeptFeatures(tmp_path, SPEC, "other").load(splits[1])[0].any()
    assert not KeptFeatures(tmp_path, replace(SPEC, resize="crop"), "one").load(splits[1])[0].any()
    hashes = splits[1].hashes or []
    assert most_likely_kept(tmp_path, SPEC, hashes) and not most_likely_kept(tmp_path, SPEC, [*hashes, "f" * 16])


def test_damaged_features_are_computed_anew(splits: list[Images], tmp_path: Path) -> None:
    first = _known(_features(splits, tmp_path))
    for file in (tmp_path / "features").rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:70])
    assert _known(_features(splits, tmp_path)) == first


def test_kept_features_stay_within_a_bound(
    splits: list[Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.backbone.kept_features.MOST_BYTES", 2_000)
    train, val, test = splits
    for age, name in enumerate(("oldest", "older", "new")):
        KeptFeatures(tmp_path, SPEC, name).add(val, np.zeros((9, 10), np.float32))
        os.utime(tmp_path / f"{SPEC.hash}-{name}", (age, age))
    KeptFeatures(tmp_path, SPEC, "newest").add(test, np.zeros((7, 10), np.float32))
    assert {folder.name.split("-")[1] for folder in tmp_path.glob(f"{SPEC.hash}-*")} == {"older", "new", "newest"}
    KeptFeatures(tmp_path, SPEC, "large").add(train, np.zeros((40, 100), np.float32))
    assert not (tmp_path / f"{SPEC.hash}-large").exists()


def test_views_of_mirrored_images_equal_the_images_themselves(splits: list[Images], tmp_path: Path) -> None:
    material = _features(splits, tmp_path, AugmentConfig(horizontal_flip=True, views=2))
    train = splits[0]
    rows = torch.from_numpy(_expected(train))
    for epoch in (1, 2):
        for inputs, labels in material.train.epoch(epoch):
            nearest = torch.cdist(inputs, rows).argmin(dim=1)
            assert torch.allclose(inputs, rows[nearest], atol=1e-5)
            assert torch.equal(labels, train.labels[nearest])


def test_each_epoch_draws_one_view_of_each_image(splits: list[Images], tmp_path: Path) -> None:
    material = _features(splits, tmp_path, AugmentConfig(brightness=0.5, views=3))
    rows = torch.from_numpy(_expected(splits[0]))
    first, second = (torch.cat([inputs for inputs, _ in material.train.epoch(epoch)]) for epoch in (1, 2))
    plain = (torch.cdist(torch.cat([first, second]), rows).amin(dim=1) < 1e-5).float().mean()
    assert 0.1 < plain < 0.45  # one view in four is the image itself
    again = torch.cat([inputs for inputs, _ in material.train.epoch(1)])
    assert torch.equal(first, again)


def test_mixed_copies_come_with_mixed_labels(splits: list[Images], tmp_path: Path) -> None:
    material = _features(splits, tmp_path, AugmentConfig(mixup=1.0, views=1))
    rows = torch.from_numpy(_expected(splits[0]))
    mixed = 0
    for inputs, targets in material.train.epoch(1):
        assert targets.shape == (len(inputs), 3) and torch.allclose(targets.sum(dim=1), torch.ones(len(inputs)))
        for features, target in zip(inputs, targets, strict=True):
            if target.max() > 0.999:
                continue  # the image itself, or two of one class
            # The mean of a blend is the blend of the means, by the share that the labels tell.
            mixed += 1
            first, second = target.nonzero().flatten().tolist()
            blends = [
                target[first] * one + target[second] * other
                for one in rows[splits[0].labels == first]
                for other in rows[splits[0].labels == second]
            ]
            assert torch.cdist(features[None], torch.stack(blends)).min() < 1e-3
    assert mixed > 5


def test_asked_to_stop_it_stops(splits: list[Images], tmp_path: Path) -> None:
    watch = Watch(lambda *_: None, lambda: lambda *_: None, lambda: True, lambda _: None)
    with pytest.raises(Stopped):
        _features(splits, tmp_path, watch=watch)
    with pytest.raises(Stopped):
        places = Places(tmp_path / "pixels", tmp_path / "backbones", tmp_path / "features")
        image_material(splits[0], splits[1], TrainConfig(), 3, CPU, places, watch)


@pytest.mark.parametrize("resize", ["squash", "pad"])
@pytest.mark.parametrize("interpolation", ["auto", "nearest"])
def test_what_is_decoded_early_is_what_the_run_asks_for(
    resize: Literal["squash", "pad"], interpolation: Literal["auto", "nearest"]
) -> None:
    preprocess = PreprocessConfig(image_size=48, resize=resize, interpolation=interpolation)
    assert offline_spec(preprocess) == make_spec(preprocess, OFFLINE)


def test_nothing_is_decoded_early_whose_features_are_kept(trained: Trained, workspace: Workspace) -> None:
    shutil.copytree(trained.workspace.datasets, workspace.datasets, dirs_exist_ok=True)
    run = trained.run
    config = build_config({"data.dataset": run.config.data.dataset, "preprocess.image_size": 32})
    manifest, spec = run.manifest(), offline_spec(config.preprocess)
    early = decode_early(config, manifest)
    assert early is not None
    early.close()
    hashes = usable(manifest)["content_hash"].tolist()
    FeatureStore(workspace.features / f"{spec.hash}-any", np.float32).add(
        content_keys(hashes), np.zeros((len(hashes), 2))
    )
    assert decode_early(config, manifest) is None


def test_early_decoding_needs_no_torch() -> None:
    code = "import sys, core.training.early; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_images_are_decoded_ahead_within_bounds(splits: list[Images], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.backbone.read_ahead.MOST_WAITING", 5 * 16 * 16 * 3)
    with ReadAhead(splits[:2]) as ahead:
        found = [np.concatenate(list(ahead.batches(images, 8))) for images in splits[:2]]
    for images, pixels in zip(splits, found, strict=False):
        np.testing.assert_array_equal(pixels, np.stack([images.read(index) for index in range(len(images))]))
    (splits[1].root / splits[1].paths[3]).unlink()
    with pytest.raises(DarkroomError, match="val-03.png"), ReadAhead([splits[1]]) as ahead:
        list(ahead.batches(splits[1], 4))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
