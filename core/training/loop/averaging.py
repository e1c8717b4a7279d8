"""The average of the weights over the steps of training (EMA), which often generalises better than the last ones."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """A second model whose weights follow those of the first slowly.

    After each step `average = d * average + (1 - d) * weights` with `d = min(decay, (1 + n) / (10 + n))` at the n-th
    step, from 1: the rising start is TensorFlow's `num_updates` rule, without which a short run would mostly keep its
    random beginning. The statistics of batch normalisation are averaged in the same way.

    Attributes:
        model: the averaged model, in evaluation mode.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self._decay, self._num_updates = decay, 0
        pairs = [(kept, live) for kept, live in zip(_tensors(self.model), _tensors(model), strict=True)]
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self._num_updates += 1
        decay = min(self._decay, (1 + self._num_updates) / (10 + self._num_updates))
        kept, live = [pair[0] for pair in self._floats], [pair[1] for pair in self._floats]
        get_ema_multi_avg_fn(decay)(kept, live, self._num_updates)
        for count, live_count in self._counts:
            count.copy_(live_count)

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.model.state_dict(), "num_updates": self._num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["weights"])
        self._num_updates = state["num_updates"]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*(parameter.detach() for parameter in model.parameters()), *model.buffers()]
