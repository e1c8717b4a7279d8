"""Maps by hiding and showing windows: worked out on a known answer, and on transformers trained on planted patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.evaluation.saliency import BY_WINDOWS, spatial_layers
from core.evaluation.saliency_checks import common_fault, mass_within
from core.evaluation.saliency_job import Subject, explain
from core.evaluation.windows import SIDE, window_maps
from core.inference.bundle import write_bundle
from core.inference.classifier import Classifier
from tests.evaluation.test_saliency import PATCH, SIZE, SPEC, Looked, asked, learn, planted

CLASSES = ["down", "across", "nothing"]


class BySquare(nn.Module):
    """Answers by the mean brightness of the places of one square alone."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.places = slice(2 * first, 2 * last + 2)

    def forward(self, images: Tensor) -> Tensor:
        bright = images[:, :, self.places, self.places].mean(dim=(1, 2, 3))
        return torch.stack([-20 * bright, 20 * bright], dim=1)


def test_the_map_is_where_the_answer_comes_from() -> None:
    image = torch.full((1, 3, 2 * SIDE, 2 * SIDE), -0.2)
    image[:, :, 10:14, 10:14] = 1.0  # places 5 and 6
    (found,) = window_maps(BySquare(5, 6), image, torch.tensor([1]))
    assert found.shape == (SIDE, SIDE) and found.min() == 0 and found.max() == 1
    assert (found[5:7, 5:7] == 1).all()
    assert mass_within(found, (6, 6, 18, 18), 2 * SIDE) > 0.95
    (none,) = window_maps(BySquare(5, 6), image, torch.tensor([0]))
    assert none[5:7, 5:7].max() < 0.01, "these places speak against the other class"


def test_of_an_answer_that_nothing_moves_the_map_is_empty() -> None:
    class Always(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)

    assert window_maps(Always(), torch.rand(2, 3, 24, 24), torch.tensor([0, 1])).max() == 0


def test_networks_with_attention_and_without_places_are_asked_by_windows() -> None:
    assert spatial_layers(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), torch.rand(2, 3, 8, 8)) == [BY_WINDOWS]
    assert spatial_layers(_transformer(0, "token"), torch.rand(2, 3, SIZE, SIZE)) == [BY_WINDOWS]


class Own:
    """A network as the engine of a classifier."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self._network(torch.from_numpy(images_NCHW)).numpy()

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, None]:
        return self(images_NCHW), None


def _transformer(seed: int, pool: str) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(seed)
    return VisionTransformer(
        img_size=SIZE, patch_size=4, num_classes=3, depth=2, embed_dim=48, num_heads=2, global_pool=pool
    ).eval()


def _planted(num: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int, int, int]]]:
    """A third without a patch: else one class is what a network says of anything, and no place decides it."""
    pixels, targets, boxes = planted(num, seed)
    generator = np.random.default_rng(seed)
    for place in np.flatnonzero(generator.random(num) < 1 / 3):
        top, left, _, _ = boxes[place]
        pixels[place, top : top + PATCH, left : left + PATCH] = generator.integers(60, 196, (PATCH, PATCH, 3))
        targets[place] = 2
    return pixels, targets, boxes


def _look(network: nn.Module, folder: Path) -> Looked:
    """At maps of images that have a patch."""
    bundle = write_bundle(folder, {"weight": np.zeros(1, np.float32)}, "small_cnn", CLASSES, SPEC, {})
    classifier = Classifier(bundle, Own(network))

    def subject(num: int, seed: int) -> tuple[Subject, float, list[tuple[int, int, int, int]]]:
        pixels, targets, boxes = _planted(4 * num, seed)
        kept = np.flatnonzero(targets < 2)[:num]
        return *asked(classifier, pixels[kept], targets[kept]), [boxes[place] for place in kept]

    choosing, _, _ = subject(2, 2)
    wanted, accuracy, boxes = subject(12, 3)
    way, _, results = explain(classifier, network, choosing, wanted, lambda *_: None)
    return Looked(accuracy, [one for one, _ in results], [one for _, one in results], boxes, way)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_of_a_trained_transformer_a_map_that_passes_has_most_of_its_mass_in_the_patch(
    pool: str, tmp_path: Path
) -> None:
    network = _transformer(0, pool)
    pixels, targets, _ = _planted(768, 1)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=8 * len(pixels) // 32)
    looked = _look(learn(network, pixels, targets, 8, optimizer, schedule), tmp_path)
    assert looked.accuracy > 0.9 and looked.way == "hiding and showing windows, 12 x 12 places"
    assert len(looked.masses_that_pass) >= 8
    assert min(looked.masses_that_pass) >= 0.7, looked.masses_that_pass
    assert common_fault(looked.scores, 0.9, 0.4) == ""


def test_a_transformer_with_random_weights_fails(tmp_path: Path) -> None:
    looked = _look(_transformer(1, "token"), tmp_path)
    assert sum(looked.passed) <= 1
