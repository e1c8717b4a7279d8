"""Networks have the size and the starting weights they claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.architectures import OWN
from core.config import ModelConfig, PreprocessConfig
from core.errors import InputError
from core.preprocess import normalise
from core.training.models import (
    build_network,
    count_parameters,
    make_spec,
    missing_weights,
    offline_weights_file,
)

RANDOM = {"weights": "random", "tune": "all"}


@pytest.mark.parametrize("architecture", OWN)
def test_every_architecture_learns_a_step_for_three_classes(architecture: str) -> None:
    network = build_network(ModelConfig(architecture=architecture, **RANDOM), 3, 32)
    logits = network(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_parameters_counted_by_hand() -> None:
    small = build_network(ModelConfig(architecture="small_cnn", **RANDOM), 10, 32)
    blocks = sum(9 * a * b + 2 * b for a, b in [(3, 32), (32, 64), (64, 128)])
    assert count_parameters(small, ModelConfig(architecture="small_cnn", **RANDOM)) == (
        blocks + 129 * 10,
        blocks + 129 * 10,
    )
    # torchvision's published count for 1,000 classes is 11,689,512; 513 a class of which are the last layer's
    resnet = build_network(ModelConfig(architecture="resnet18", **RANDOM), 3, 32)
    assert count_parameters(resnet, ModelConfig(architecture="resnet18")) == (11_689_512 - 997 * 513, 3 * 513)


def test_the_offline_weights_are_really_loaded() -> None:
    network = build_network(ModelConfig(architecture="tf_efficientnet_lite0"), 2, 224)
    saved = list(torch.load(offline_weights_file(), weights_only=True).values())
    own = list(network.backbone.state_dict().values())
    assert len(saved) == len(own) + 2  # ImageNet's own classifier is left behind
    assert all(torch.equal(a, b) for a, b in zip(own, saved, strict=False))


def test_the_offline_weights_know_what_a_photo_shows() -> None:
    """scikit-learn ships a photo of a dahlia: with ImageNet's classifier on top, daisy (985) must be near the front."""
    from sklearn.datasets import load_sample_image

    model = ModelConfig(architecture="tf_efficientnet_lite0", dropout=0.0)
    network = build_network(model, 1000, 224).eval()
    weight, bias = list(torch.load(offline_weights_file(), weights_only=True).values())[-2:]
    network.head[-1].load_state_dict({"weight": weight, "bias": bias})
    spec = make_spec(PreprocessConfig(), "tf_efficientnet_lite0")
    photo = Image.fromarray(load_sample_image("flower.jpg")).resize((224, 224), Image.Resampling.BICUBIC)
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalise(np.asarray(photo)[None], spec)))[0]
    assert 985 in logits.topk(5).indices.tolist()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache, and a proxy that refuses, so that nothing is reached on any machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / "resnet18-f37072fd.pth"


def test_pretrained_resnet18_comes_from_the_cache(hub: Path) -> None:
    from torchvision.models import resnet18

    published = resnet18()
    torch.save(published.state_dict(), hub)
    assert missing_weights(ModelConfig(architecture="resnet18")) == ""
    network = build_network(ModelConfig(architecture="resnet18"), 5, 64)
    assert torch.equal(network.backbone.conv1.weight, published.conv1.weight)
    assert network(torch.rand(1, 3, 64, 64)).shape == (1, 5)


def test_pretrained_resnet18_is_refused_where_it_cannot_be_had(hub: Path) -> None:
    assert str(hub) in missing_weights(ModelConfig(architecture="resnet18"))
    with pytest.raises(InputError, match="could not be downloaded.*tf_efficientnet_lite0"):
        build_network(ModelConfig(architecture="resnet18"), 2, 64)


def test_a_damaged_weights_file_is_refused(hub: Path) -> None:
    hub.write_bytes(b"not weights")
    with pytest.raises(InputError, match="damaged"):
        build_network(ModelConfig(architecture="resnet18"), 2, 64)


def test_a_weights_file_that_would_run_code_is_not_run(hub: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            import os

            return os.system, (f"touch {tmp_path / 'owned'}",)

    torch.save({"conv1.weight": Evil()}, hub)
    with pytest.raises(InputError, match="damaged"):
        build_network(ModelConfig(architecture="resnet18"), 2, 64)
    assert not (tmp_path / "owned").exists()
