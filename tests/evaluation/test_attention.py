"""Maps of transformers by what their attention handed on: by hand, and on a network trained on planted patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.evaluation.attention import attention_maps, attention_side
from core.evaluation.saliency import ATTENTION, in_words, spatial_layers
from core.evaluation.saliency_checks import mass_within
from core.evaluation.saliency_job import explain
from core.inference.bundle import write_bundle
from core.inference.classifier import Classifier
from core.preprocess import normalise
from tests.evaluation.test_saliency import CLASSES, SIZE, SPEC, planted, subject


class Attending(nn.Module):
    """One head with fixed attention over 4 places (2 x 2) and a class token before them; the value of a place is given.

    The answer is what the class token gathers.
    """

    def __init__(self, attention: Tensor, values: Tensor) -> None:
        super().__init__()
        self.fused_attn, self.attn_drop = True, nn.Dropout(0.5)
        self.attention, self.values = nn.Parameter(attention), values

    def forward(self, images: Tensor) -> Tensor:
        rows = self.attn_drop(self.attention.expand(len(images), 1, 5, 5))
        assert not self.fused_attn, "else there would be no attention to look at"
        gathered = (rows @ self.values)[:, 0, 0]  # (N, 2): what the class token holds, for each class
        return gathered + 0 * images.sum()


def test_one_block_by_hand() -> None:
    attention = torch.full((5, 5), 0.2)
    attention[0] = torch.tensor([0.1, 0.4, 0.3, 0.1, 0.1])
    # What each token says for the two classes; the first row is the class token's own.
    values = torch.tensor([[0.0, 0], [1, -1], [2, 0], [-5, 4], [1, 0]])
    network, images = Attending(attention, values).eval(), torch.zeros(3, 3, 8, 8)
    assert attention_side(network, images) == 2 and network.fused_attn
    found = attention_maps(network, images, torch.tensor([0, 0, 1]), 2)
    # Attention times its slope, the value: 0.4, 0.6, -0.5 (not for it: 0) and 0.1; less the median, 0.1; squared.
    of_first = np.array([[0.3**2, 0.5**2], [0, 0]]) / 0.5**2
    assert found[0] == pytest.approx(of_first, abs=1e-6) and (found[0] == found[1]).all()
    assert found[2] == pytest.approx(np.array([[0, 0], [1, 0]]), abs=1e-6)
    assert network.fused_attn and not network.attn_drop._forward_hooks


def test_a_network_without_such_attention_has_no_such_map() -> None:
    class Windows(Attending):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images.repeat(4, 1, 1, 1))[: len(images)]  # four windows an image, as in Swin

    images = torch.zeros(2, 3, 8, 8)
    assert attention_side(Windows(torch.eye(5), torch.zeros(5, 2)).eval(), images) == 0
    assert attention_side(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), images) == 0


class Own:
    """A network as the engine of a classifier."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self._network(torch.from_numpy(images_NCHW)).numpy()

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, None]:
        return self(images_NCHW), None


@pytest.fixture(scope="module")
def transformer() -> nn.Module:
    """A small one of timm's that was really trained on planted images."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    network = VisionTransformer(img_size=SIZE, patch_size=4, num_classes=2, depth=2, embed_dim=48, num_heads=2)
    pixels, targets, _ = planted(512, 1)
    images, labels = torch.from_numpy(normalise(pixels, SPEC)), torch.from_numpy(targets)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=8 * len(images) // 32)
    for _ in range(8):
        for part in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[part]), labels[part]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def test_of_a_trained_transformer_most_maps_that_pass_mark_the_patch(transformer: nn.Module, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, {"weight": np.zeros(1, np.float32)}, "small_cnn", CLASSES, SPEC, {})
    classifier = Classifier(bundle, Own(transformer))
    choosing, _, _ = subject(classifier, 6, 2)
    wanted, accuracy, boxes = subject(classifier, 12, 3)
    assert accuracy > 0.9
    way, tried, results = explain(classifier, transformer, choosing, wanted, lambda *_: None)
    layers = spatial_layers(transformer, torch.from_numpy(normalise(wanted.pixels_NHWC[:2], SPEC)))
    assert layers[0].name == ATTENTION and way == in_words([layers[0]]), tried
    masses = [mass_within(one, box, SIZE) for (one, _), box in zip(results, boxes, strict=True)]
    passing = [mass for mass, (_, scores) in zip(masses, results, strict=True) if not scores.fault()]
    # The patch is a seventh of the image. One class is what this network says of anything, so of half the images
    # nothing that can be hidden decides.
    assert len(passing) >= 4 and np.median(passing) >= 0.7, masses
