"""Contract: every network on offer is built for three classes, and a step forward and back reaches all its weights."""

from __future__ import annotations

import os

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_weights, list_models

from core.architectures import OFFERED, OWN, TIMM, TORCHVISION
from core.config import ModelConfig, PreprocessConfig
from core.errors import InputError
from core.training.models import architecture, build_network, make_spec
from core.training.models.blank import without_memory

RANDOM = {"weights": "random", "tune": "all"}
OF_TIMM = ("vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050", "resnet10t")
# Set this to run the steps of the giants for real too, which takes minutes and 8 GB; without it they run on torch's
# meta device, which checks every shape and moves no number.
ALL_FOR_REAL = bool(os.environ.get("DARKROOM_GIANTS"))
MOST_PARAMETERS = 30_000_000


def tiny(name: str) -> int:
    """The side of the smallest handy images for a network."""
    for beginning, side in {"maxvit": 224, "alexnet": 64, "inception": 75, "efficientnet_v2": 33}.items():
        if name.startswith(beginning):
            return side
    return int(name.rpartition("_")[2]) * 2 if name.startswith("vit_") else 32


def check_a_step(network: nn.Module, images: torch.Tensor) -> None:
    logits = network(images)
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", OFFERED)
def test_every_network_learns_a_step_for_three_classes(name: str) -> None:
    model, side = ModelConfig(architecture=name, **RANDOM), tiny(name)
    published = get_model_weights(name).DEFAULT.meta["num_params"] if name in TORCHVISION else 0
    if published <= MOST_PARAMETERS or ALL_FOR_REAL:
        network, images = build_network(model, 3, side), torch.rand(2, 3, side, side)
    else:
        with without_memory():
            network = build_network(model, 3, side).to("meta")
        images = torch.empty(2, 3, side, side, device="meta")
    in_stages = [id(parameter) for stage in network.stages() for parameter in stage.parameters()]
    assert sorted(in_stages) == sorted(id(parameter) for parameter in network.parameters())
    check_a_step(network, images)


@pytest.mark.parametrize("name", OF_TIMM)
def test_networks_of_timm_by_name(name: str) -> None:
    side = 64 if name.startswith("vit_") else 32
    network = build_network(ModelConfig(architecture=TIMM + name, **RANDOM, head_units=7), 3, side)
    check_a_step(network, torch.rand(2, 3, side, side))


def test_the_names_on_offer_are_torchvisions() -> None:
    assert set(TORCHVISION) == set(list_models(module=torchvision.models))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("side", [16, 33])
def test_own_networks_take_any_size(name: str, side: int) -> None:
    network = build_network(ModelConfig(architecture=name, **RANDOM), 3, side)
    assert network(torch.rand(2, 3, side, side)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "side", "way_out"),
    [
        ("alexnet", 32, "image_size to 63 or more"),
        ("inception_v3", 64, "image_size to 75 or more"),
        ("vgg16", 16, "image_size to 32 or more"),
        ("vit_b_16", 100, "image_size to 96 or 112"),
        ("maxvit_t", 256, "image_size to 224 or 448"),
        ("timm:inception_v3", 64, "image_size to 75 or more"),
    ],
)
def test_images_too_small_or_of_another_size_are_refused_with_the_way_out(name: str, side: int, way_out: str) -> None:
    with pytest.raises(InputError, match=way_out), without_memory():
        build_network(ModelConfig(architecture=name, **RANDOM), 3, side)


def test_a_name_timm_does_not_know_is_refused_with_those_close_to_it() -> None:
    with pytest.raises(InputError, match="no network 'resnet5'.*resnet50"):
        architecture("timm:resnet5")
    with pytest.raises(InputError, match="no network 'resnet50.no_such_weights'"):
        architecture("timm:resnet50.no_such_weights")


def test_images_are_scaled_as_the_published_weights_expect() -> None:
    """Against torchvision's and timm's own word, and for Inception against the network that undoes its own scaling."""
    images = PreprocessConfig()
    assert make_spec(images, "resnet18").interpolation == "bilinear"
    assert (
        make_spec(images, "swin_t").interpolation
        == make_spec(images, "tf_efficientnet_lite0").interpolation
        == "bicubic"
    )
    assert make_spec(PreprocessConfig(interpolation="nearest"), "swin_t").interpolation == "nearest"
    assert make_spec(images, "resnet18").mean == (0.485, 0.456, 0.406)
    assert make_spec(images, "efficientnet_v2_l").std == (0.5, 0.5, 0.5)
    assert make_spec(images, "timm:vit_tiny_patch16_224").mean == (0.5, 0.5, 0.5)
    assert make_spec(images, "timm:resnet10t").mean == (0.485, 0.456, 0.406)
    from torchvision.models import Inception_V3_Weights, inception_v3

    theirs = inception_v3(aux_logits=False, init_weights=False, transform_input=True)
    usual, ours = Inception_V3_Weights.DEFAULT.transforms(), make_spec(images, "inception_v3")
    pixels = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (usual.mean, usual.std))
    expected = theirs._transform_input((pixels - mean) / std)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (ours.mean, ours.std))
    assert torch.allclose((pixels - mean) / std, expected, atol=1e-6)


def test_vgg16_with_a_hidden_layer_has_the_size_worked_out_by_hand() -> None:
    model = ModelConfig(architecture="vgg16", head_units=256, dropout=0.4)
    from core.training.describe import describe

    described = describe(model, 100, 224)
    assert (described["parameters"], described["trainable_parameters"]) == (135_335_076, 1_074_532)


def test_the_dropout_of_the_published_head_gives_way_to_ours() -> None:
    with without_memory():
        network = build_network(ModelConfig(architecture="mobilenet_v2", **RANDOM, dropout=0.3), 3, 32)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.0, 0.3]


def test_xavier_and_kaiming_draw_from_the_ranges_of_their_papers() -> None:
    """Glorot: uniform within sqrt(6 / (fan_in + fan_out)). He: standard deviation sqrt(2 / fan_out)."""
    torch.manual_seed(0)
    xavier = build_network(ModelConfig(architecture="cnn_2_blocks", init="xavier", **RANDOM), 10, 32)
    weight = xavier.backbone[3].weight  # 32 -> 64 channels, 3x3
    bound = (6 / (32 * 9 + 64 * 9)) ** 0.5
    assert 0.98 * bound < weight.abs().max() <= bound
    kaiming = build_network(ModelConfig(architecture="cnn_2_blocks", **RANDOM), 10, 32)
    assert kaiming.backbone[3].weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not torch.equal(kaiming.backbone[3].weight, weight)


def test_layers_can_be_left_as_pytorch_makes_them() -> None:
    """`torch.nn.Conv2d`: weights and biases uniform within 1 / sqrt(fan_in)."""
    torch.manual_seed(0)
    layer = build_network(ModelConfig(architecture="cnn_2_blocks", init="pytorch", **RANDOM), 10, 32).backbone[3]
    bound = (32 * 9) ** -0.5
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert 0.8 * bound < layer.bias.abs().max() <= bound


def test_hidden_convolutions_that_begin_as_the_identity_hand_on_what_they_get() -> None:
    network = build_network(ModelConfig(architecture="cnn_2_blocks", init="identity", **RANDOM), 10, 32)
    first, second = network.backbone[0], network.backbone[3]  # 3 -> 32 and 32 -> 64 channels, 3x3
    given = torch.rand(1, 32, 8, 8)
    assert torch.equal(second(given)[:, :32], given)
    assert second.weight[32:].std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    assert first.weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.1)
