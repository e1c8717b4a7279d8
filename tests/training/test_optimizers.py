"""Which layer gets which optimizer, rate and decay; Muon against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from core.config import OptimConfig
from core.training.loop.muon import FloatMuon, orthogonalised
from core.training.loop.optimizers import Optimizers
from core.training.models.groups import ParameterGroup


def _optimizers(model: nn.Module, groups: list[ParameterGroup] | None = None, **optim: Any) -> Optimizers:
    return Optimizers(model, groups, OptimConfig.model_validate({"learning_rate": 0.1} | optim))


def _convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),  # depthwise
        nn.Flatten(),
        nn.Linear(8 * 16, 6),
        nn.ReLU(),
        nn.Linear(6, 2),
    )


def test_weight_decay_spares_biases() -> None:
    (part,) = _optimizers(nn.Linear(3, 2), weight_decay=0.03).parts
    decays = {tuple(p.shape): group["weight_decay"] for group in part.param_groups for p in group["params"]}
    assert decays == {(2, 3): 0.03, (2,): 0.0}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop", "muon"])
def test_groups_have_their_rates_and_the_schedule_moves_them_all(name: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(3, 2))
    groups = [
        ParameterGroup([model[0]], 1.0, None),
        ParameterGroup([model[1]], 0.5, 3),
        ParameterGroup([model[2]], 1.0, 0),
    ]
    optimizers = _optimizers(model, groups, optimizer=name)
    optimizers.set_factor(0.2)
    rates = {}
    for part in optimizers.parts:
        for group in part.param_groups:
            rates |= {tuple(p.shape): group["lr"] for p in group["params"]}
    assert rates == pytest.approx({(3, 4): 0.01, (3,): 0.01, (2, 3): 0.02, (2,): 0.02})  # the first never learns
    assert len(optimizers.parameters) == 4


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop", "muon"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_every_layer_moves(name: str, memory_format: torch.memory_format) -> None:
    model = _convolutional().to(memory_format=memory_format)
    optimizers = _optimizers(model, optimizer=name)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model(torch.randn(5, 3, 4, 4).to(memory_format=memory_format)).logsumexp(dim=1).sum().backward()
    optimizers.gather_gradients()
    for part in optimizers.parts:
        part.step()
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(moved)
    optimizers.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_muon_takes_the_hidden_matrices_alone() -> None:
    model = _convolutional()
    muon, adamw = _optimizers(model, optimizer="muon").parts
    assert [tuple(p.shape) for group in muon.param_groups for p in group["params"]] == [(8, 27), (6, 128)]
    assert isinstance(muon, torch.optim.Muon) and isinstance(adamw, torch.optim.AdamW)
    assert sum(p.numel() for group in adamw.param_groups for p in group["params"]) == 16 + 72 + 8 + 6 + 12 + 2


def test_a_linear_head_alone_is_left_to_adamw() -> None:
    (part,) = _optimizers(nn.Sequential(nn.Dropout(0.1), nn.Linear(5, 2)), optimizer="muon").parts
    assert isinstance(part, torch.optim.AdamW)


def test_muon_in_float32_is_torchs_but_for_rounding() -> None:
    torch.manual_seed(0)
    steps = []
    for kind in (FloatMuon, torch.optim.Muon):
        matrix = nn.Parameter(torch.linspace(-1, 1, 48).view(6, 8))
        optimizer = kind([matrix], lr=0.1, momentum=0.9, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        generator = torch.Generator().manual_seed(1)
        for _ in range(3):
            matrix.grad = torch.randn(6, 8, generator=generator)
            optimizer.step()
        steps.append(matrix.detach())
    assert torch.allclose(steps[0], steps[1], atol=0.01) and not torch.equal(steps[0], steps[1])


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5)])
def test_muons_step_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.min() > 0.3 and values.max() < 1.4
