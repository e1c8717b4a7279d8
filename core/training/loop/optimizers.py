"""The configured optimizer over groups of layers, each with its own share of the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.config import OptimConfig
from core.training.loop.muon import FloatMuon
from core.training.models.groups import ParameterGroup


class Optimizers:
    """One torch optimizer, or two side by side where Muon leaves the rest to AdamW.

    Weight decay spares biases and normalisation, as is usual.

    Attributes:
        parameters: all that may ever learn.
    """

    def __init__(self, model: nn.Module, groups: Sequence[ParameterGroup] | None, optim: OptimConfig) -> None:
        self._optim = optim
        shares = _shares(model, groups)
        self.parameters = [parameter for parameters, _ in shares for parameter in parameters]
        self._matrices: list[tuple[nn.Parameter, nn.Parameter]] = []
        self.parts = self._with_muon(shares, model) if optim.optimizer == "muon" else [self._plain(shares)]

    def set_factor(self, factor: float) -> None:
        """Learn at this factor on the learning rate from the next step on."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self._optim.learning_rate * group["rate"] * factor

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def gather_gradients(self) -> None:
        """Show the gradients to Muon's matrices; to be called once they are complete, before they are changed."""
        for parameter, matrix in self._matrices:
            if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
                parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)
            matrix.grad = None if parameter.grad is None else _as_matrix(parameter.grad)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)

    def _plain(self, shares: list[tuple[list[nn.Parameter], float]]) -> torch.optim.Optimizer:
        optim, groups = self._optim, self._torch_groups(shares)
        if optim.optimizer == "rmsprop":
            return torch.optim.RMSprop(groups, lr=optim.learning_rate, momentum=optim.momentum)
        if optim.optimizer == "sgd":
            nesterov = optim.momentum > 0
            return torch.optim.SGD(
                groups, lr=optim.learning_rate, momentum=optim.momentum, nesterov=nesterov, fused=True
            )
        kind = torch.optim.Adam if optim.optimizer == "adam" else torch.optim.AdamW
        return kind(groups, lr=optim.learning_rate, fused=True)

    def _with_muon(
        self, shares: list[tuple[list[nn.Parameter], float]], model: nn.Module
    ) -> list[torch.optim.Optimizer]:
        """Muon (Jordan 2024) for the matrices of hidden layers, kernels of convolutions flattened as in its author's
        CIFAR-10 code; AdamW for the rest and for the last layer. Steps are scaled to the length of AdamW's (Liu et al.
        2025), so that one learning rate fits both.
        """
        last = _last_matrix(model)
        hidden = [([p for p in some if _is_hidden_matrix(p) and p is not last], rate) for some, rate in shares]
        chosen = {id(p) for some, _ in hidden for p in some}
        rest = [([p for p in some if id(p) not in chosen], rate) for some, rate in shares]
        groups = []
        for some, rate in hidden:
            matrices = [nn.Parameter(_as_matrix(p.detach())) for p in some]
            self._matrices += zip(some, matrices, strict=True)
            if matrices:
                groups.append({"params": matrices, "weight_decay": self._optim.weight_decay, "rate": rate})
        parts: list[torch.optim.Optimizer] = []
        if groups:
            rate, momentum = self._optim.learning_rate, self._optim.momentum
            kind = FloatMuon if groups[0]["params"][0].device.type == "cpu" else torch.optim.Muon
            parts.append(kind(groups, lr=rate, momentum=momentum, adjust_lr_fn="match_rms_adamw"))
        if any(some for some, _ in rest):
            parts.append(self._plain(rest))
        return parts

    def _torch_groups(self, shares: list[tuple[list[nn.Parameter], float]]) -> list[dict[str, Any]]:
        groups = []
        for parameters, rate in shares:
            decayed, spared = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
            for some, decay in ((decayed, self._optim.weight_decay), (spared, 0.0)):
                if some:
                    groups.append({"params": some, "weight_decay": decay, "rate": rate})
        return groups


def learns(group: ParameterGroup, epochs_done: int) -> bool:
    """Whether the group learns in the epoch after that many."""
    return group.from_epoch is not None and epochs_done >= group.from_epoch


def group_parameters(group: ParameterGroup) -> list[nn.Parameter]:
    return [parameter for module in group.modules for parameter in module.parameters()]


def _shares(model: nn.Module, groups: Sequence[ParameterGroup] | None) -> list[tuple[list[nn.Parameter], float]]:
    """Parameters that may ever learn, with their share of the learning rate; each parameter once."""
    if groups is None:
        return [([parameter for parameter in model.parameters() if parameter.requires_grad], 1.0)]
    seen: set[int] = set()
    shares = []
    for group in groups:
        if group.from_epoch is None:
            continue
        own = [parameter for parameter in group_parameters(group) if id(parameter) not in seen]
        seen |= {id(parameter) for parameter in own}
        shares.append((own, group.rate))
    return shares


def _is_hidden_matrix(parameter: nn.Parameter) -> bool:
    """A matrix or a kernel across channels; not one of a depthwise convolution, whose channels have nothing to do with
    one another, nor tensors of other shapes, such as positions."""
    return parameter.ndim in (2, 4) and parameter.shape[1] > 1 and parameter.shape[0] > 1


def _last_matrix(model: nn.Module) -> nn.Parameter | None:
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    return matrices[-1] if matrices else None


def _as_matrix(tensor: Tensor) -> Tensor:
    """The same memory as (outputs, everything else)."""
    if tensor.ndim == 4 and not tensor.is_contiguous():
        tensor = tensor.permute(0, 2, 3, 1)  # channels last
    return tensor.view(tensor.shape[0], -1)
