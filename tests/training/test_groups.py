"""Which layers learn, from when and how fast."""

from __future__ import annotations

import pytest
from torch import nn

from core.config import ModelConfig
from core.training.models import build_network
from core.training.models.blank import without_memory
from core.training.models.groups import ParameterGroup, parameter_groups
from core.training.models.network import Network


def resnet(**choice: object) -> tuple[Network, list[ParameterGroup]]:
    with without_memory():
        network = build_network(ModelConfig(architecture="resnet18", weights="random", tune="all"), 3, 32)
    return network, parameter_groups(network, ModelConfig(architecture="resnet18", **choice))


def plan(groups: list[ParameterGroup]) -> list[tuple[int, float, int | None]]:
    return [(len(group.modules), group.rate, group.from_epoch) for group in groups]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"tune": "head"}, [(5, 1.0, None), (1, 1.0, 0)]),
        ({"tune": "all"}, [(6, 1.0, 0)]),
        ({"tune": "last", "tune_stages": 2}, [(3, 1.0, None), (3, 1.0, 0)]),
        ({"tune": "last", "tune_stages": 50}, [(6, 1.0, 0)]),
        (
            {"tune": "last", "tune_stages": 1, "stage_rate": 0.5},
            [(4, 1.0, None), (1, 0.5, 0), (1, 1.0, 0)],
        ),
        (
            {"tune": "gradual", "unfreeze_every": 3, "stage_rate": 0.5},
            [(1, 1 / 32, 15), (1, 1 / 16, 12), (1, 1 / 8, 9), (1, 1 / 4, 6), (1, 1 / 2, 3), (1, 1.0, 0)],
        ),
    ],
)
def test_stages_learn_as_asked(choice: dict[str, object], expected: list[tuple[int, float, int | None]]) -> None:
    network, groups = resnet(**choice)
    assert plan(groups) == expected
    grouped = [id(p) for group in groups for part in group.modules for p in part.parameters()]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_the_stages_of_a_resnet_are_its_stem_and_its_four_layers() -> None:
    network, _ = resnet()
    *stages, head = network.stages()
    layers = [{id(p) for p in getattr(network.backbone, f"layer{number}").parameters()} for number in (1, 2, 3, 4)]
    assert [{id(p) for p in stage.parameters()} for stage in stages[1:]] == layers
    assert {id(p) for p in head.parameters()} == {id(p) for p in network.head.parameters()}


@pytest.mark.parametrize(
    ("name", "side", "num_stages"),
    [("vgg16", 224, 7), ("alexnet", 224, 5), ("vit_b_16", 224, 14), ("googlenet", 224, 6), ("densenet121", 224, 9)],
)
def test_other_networks_fall_into_their_blocks(name: str, side: int, num_stages: int) -> None:
    with without_memory():
        network = build_network(ModelConfig(architecture=name, weights="random", tune="all"), 3, side)
    assert len(network.stages()) == num_stages


def test_a_stage_is_a_view_and_sets_the_mode_of_what_it_shows() -> None:
    network, groups = resnet(tune="head")
    names = list(network.state_dict())
    network.train()
    for part in groups[0].modules:
        part.eval()
    normed = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert normed and not any(layer.training for layer in normed)
    assert network.head.training and list(network.state_dict()) == names
