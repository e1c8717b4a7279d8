"""Pruning takes out what it was asked to, the same each time, and what is left learns, is kept and loads again."""

from __future__ import annotations

import pytest
import torch

from core.config import ModelConfig, build_config
from core.errors import InputError
from core.training.models import Network, build_network
from core.training.models.pruning import prune, shrink_to

SIDE = 32


def _network(architecture: str = "small_cnn", **changes: object) -> Network:
    torch.manual_seed(0)
    model = ModelConfig(architecture=architecture, weights="random", tune="all", **changes)  # type: ignore[arg-type]
    return build_network(model, 3, SIDE)


@pytest.mark.parametrize("architecture", ["small_cnn", "fast_cnn", "cnn_2_blocks", "resnet18", "mobilenet_v3_small"])
def test_half_of_the_channels_leave_a_quarter_that_loads_again(architecture: str) -> None:
    network, images = _network(architecture), torch.rand(2, 3, SIDE, SIDE)
    pruned = prune(network, 0.5, "channels", SIDE)
    assert pruned.parameters[0] > 2 * pruned.parameters[1] == 2 * sum(one.numel() for one in network.parameters())
    assert pruned.multiplications[0] > 2 * pruned.multiplications[1]
    again = _network(architecture)
    with pytest.raises(RuntimeError, match="size mismatch"):
        again.load_state_dict(network.state_dict())
    shrink_to(again, network.state_dict())
    again.load_state_dict(network.state_dict())
    assert torch.equal(network.eval()(images), again.eval()(images))
    assert again.num_features == network.num_features


def test_the_same_weights_are_pruned_alike() -> None:
    first, second = _network(head_units=16), _network(head_units=16)
    prune(first, 0.6, "channels", SIDE)
    prune(second, 0.6, "channels", SIDE)
    assert all(torch.equal(one, other) for one, other in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_weights_of_zero_stay_zero_while_the_others_learn(optimizer: type[torch.optim.Optimizer]) -> None:
    network = _network()
    whole = network.backbone[0].weight.detach().clone()
    pruned = prune(network, 0.7, "weights", SIDE)
    assert pruned.zeros == pytest.approx(0.7, abs=0.001) and pruned.parameters[0] == pruned.parameters[1]
    first = network.backbone[0].weight
    kept = first != 0
    assert torch.equal(first[kept], whole[kept])
    before, steps = first.detach().clone(), optimizer(network.parameters(), lr=0.01, weight_decay=0.01)  # type: ignore[call-arg]
    for _ in range(3):
        steps.zero_grad()
        network(torch.rand(8, 3, SIDE, SIDE)).square().sum().backward()
        steps.step()
    assert torch.equal(first != 0, kept)
    assert not torch.equal(first[kept], before[kept])
    assert (network.head[-1].weight != 0).all()  # the last layer is left whole


def test_a_transformer_cannot_lose_channels_and_says_so() -> None:
    with pytest.raises(InputError, match="cannot be pruned.*prune_by = weights"):
        torch.manual_seed(0)
        model = ModelConfig(architecture="timm:test_vit", weights="random", tune="all")
        prune(build_network(model, 3, 160), 0.5, "channels", 160)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.weights": "random"}, "starts from nothing has learned nothing"),
        ({"model.tune": "head"}, "must learn on as a whole"),
        ({"model.prune_by": "weights", "optim.optimizer": "muon"}, "would fill the weights"),
    ],
)
def test_settings_that_pruning_cannot_go_with(changes: dict[str, object], words: str) -> None:
    sound = {"model.weights": "run", "model.weights_from": "some-run", "model.tune": "all", "model.prune": 0.5}
    build_config(sound | {"data.dataset": "digits"}, "from-scratch")
    with pytest.raises(InputError, match=words):
        build_config(sound | {"data.dataset": "digits"} | changes, "from-scratch")
