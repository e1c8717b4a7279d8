"""Networks have the size and the starting weights they claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

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


@pytest.fixture
def hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hugging Face hub, which must not be called up; gives where one network's file belongs."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    file = repository / "snapshots" / "abc" / "model.safetensors"
    file.parent.mkdir(parents=True)
    return file


def test_pretrained_weights_of_timm_come_from_the_cache(hugging_face: Path) -> None:
    import timm

    model = ModelConfig(architecture="timm:resnet10t")
    assert "downloads them from timm/resnet10t.c3_in1k" in missing_weights(model)
    with pytest.raises(InputError, match="could not be downloaded.*tf_efficientnet_lite0"):
        build_network(model, 2, 64)
    published = timm.create_model("resnet10t")
    save_file(published.state_dict(), hugging_face)
    assert missing_weights(model) == ""
    network = build_network(model, 2, 64)
    assert torch.equal(network.backbone.conv1[0].weight, published.conv1[0].weight)
    assert network.loaded is not None and network.loaded.missing == ["head.1.weight", "head.1.bias"]
    hugging_face.write_bytes(b"no weights")
    with pytest.raises(InputError, match="damaged"):
        build_network(model, 2, 64)


def test_a_network_without_published_weights_says_so() -> None:
    import timm

    unpublished = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    assert "no pretrained weights" in missing_weights(ModelConfig(architecture=f"timm:{unpublished}"))


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v3_small", "squeezenet1_1"])
def test_published_weights_of_other_kinds_of_networks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auxiliary heads and the last layer stay behind, and with that layer back on top the network is theirs again."""
    from torchvision.models import get_model, get_model_weights

    published = get_model(name, **{"init_weights": False} if name == "googlenet" else {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(published.state_dict(), folder / Path(get_model_weights(name).DEFAULT.url).name)
    network = build_network(ModelConfig(architecture=name, dropout=0.0), 1000, 64).eval()
    assert network.loaded is not None and network.loaded.matched == len(network.backbone.state_dict())
    last = published.get_submodule(network.classifier)
    network.head[-1].load_state_dict({"weight": last.weight.flatten(1), "bias": last.bias})
    images, theirs = torch.rand(2, 3, 64, 64), published.eval()
    if name == "squeezenet1_1":  # which cuts negative logits off before it takes their mean; without that they agree
        theirs.classifier[2] = torch.nn.Identity()
    with torch.inference_mode():
        assert torch.allclose(network(images), theirs(images), atol=1e-4)
