"""A chain of layers in oneDNN's order answers and learns as the network it is made of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import ModelConfig, RuntimeConfig
from core.training.loop import chains
from core.training.loop.chains import Chain, is_chain
from core.training.loop.numerics import choose_numerics
from core.training.models import build_network
from core.training.models.network import Network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains.platform, "machine", lambda: "x86_64")


def _network(architecture: str, side: int) -> Network:
    torch.manual_seed(1)
    network = build_network(ModelConfig(architecture=architecture, weights="random", tune="all", dropout=0), 5, side)
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network.train()


def _learned(model: nn.Module, network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Its logits, and the gradients of its weights."""
    network.zero_grad()
    logits = model(images)
    F.cross_entropy(logits, torch.arange(len(images)) % 5).backward()
    return logits, [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def _gap(some: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference, as a share of the largest value."""
    assert len(some) == len(others) > 0
    largest = max(float(tensor.detach().abs().max()) for tensor in others)
    return max(float((a - b).detach().abs().max()) for a, b in zip(some, others, strict=True)) / largest


@pytest.mark.parametrize(
    ("architecture", "side", "tolerance"),
    [
        ("cnn_5x5", 32, 1e-5),
        ("cnn_2_blocks", 32, 1e-5),
        ("cnn_3_blocks", 36, 1e-5),
        ("small_cnn", 32, 1e-5),
        ("small_cnn", 100, 1e-2),  # among so many values rounding decides which is the largest, or above zero
    ],
)
def test_it_learns_as_the_network_does(architecture: str, side: int, tolerance: float) -> None:
    network, images = _network(architecture, side), torch.rand(7, 3, side, side)
    exact = copy.deepcopy(network).double()
    assert is_chain(network)
    logits, gradients = _learned(Chain(network), network, images)
    truth, true_gradients = _learned(exact, exact, images.double())
    assert logits.layout is torch.strided
    assert _gap([logits.double()], [truth]) < 1e-5
    assert _gap([one.double() for one in gradients], true_gradients) < tolerance
    buffers, true_buffers = list(network.buffers()), list(exact.buffers())
    assert not buffers or _gap([one.double() for one in buffers], [one.double() for one in true_buffers]) < 1e-5


def test_batch_norms_that_are_asleep_let_gradients_through() -> None:
    network, images = _network("small_cnn", 32), torch.rand(4, 3, 32, 32)
    for layer in network.backbone.children():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    before = [buffer.clone() for buffer in network.buffers()]
    _, gradients = _learned(Chain(network), network, images)
    _, expected = _learned(network, network, images)
    assert _gap(gradients, expected) < 1e-5
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_it_answers_as_the_network_does() -> None:
    network = _network("small_cnn", 32).eval()
    with torch.inference_mode():
        images = torch.rand(6, 3, 32, 32)
        assert _gap([Chain(network)(images)], [network(images)]) < 1e-5


def test_two_runs_are_the_same_to_the_last_bit() -> None:
    results = []
    for _ in range(2):
        network = _network("cnn_5x5", 32)
        torch.manual_seed(2)
        logits, gradients = _learned(Chain(network), network, torch.rand(9, 3, 32, 32))
        results.append([logits, *gradients, *network.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("architecture", ["fast_cnn_wide", "resnet18", "mobilenet_v3_small", "timm:test_vit"])
def test_other_networks_are_none(architecture: str) -> None:
    network = _network(architecture, 160 if "vit" in architecture else 32)
    assert not is_chain(network)


def test_other_processors_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains.platform, "machine", lambda: "arm64")
    network = _network("small_cnn", 32)
    assert not is_chain(network)


@pytest.mark.parametrize(
    ("runtime", "expected"),
    [
        (RuntimeConfig(), True),
        (RuntimeConfig(channels_last="on"), False),
        (RuntimeConfig(channels_last="off"), False),
        (RuntimeConfig(precision="bf16"), False),
        (RuntimeConfig(compile="on"), False),
    ],
)
def test_an_order_of_memory_that_was_asked_for_is_kept(runtime: RuntimeConfig, expected: bool) -> None:
    network = _network("small_cnn", 32)
    numerics = choose_numerics(runtime, CPU, 100, network)
    assert numerics.chained is expected is isinstance(numerics.network(network), Chain)
    assert numerics.channels_last is (not expected and runtime.channels_last != "off")
