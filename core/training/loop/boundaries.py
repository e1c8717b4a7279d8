"""What a forward pass changes besides gradients, kept at each step boundary so that a step can be taken back."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from core.training.distributed import Ranks


class Boundary:
    """The random generators and the buffers (statistics of batch normalisation) as of the last finished step.

    Weights need no keeping: they change only when a step is made. Taking it costs some ten microseconds.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._device = device
        self._live = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self._counts = [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
        self._kept = [buffer.clone() for buffer in self._live]
        self._kept_counts = [buffer.clone() for buffer in self._counts]
        self._random = random_state(device)

    @torch.no_grad()
    def take(self) -> None:
        self._random = random_state(self._device)
        _copy(self._kept, self._live)
        _copy(self._kept_counts, self._counts)

    @torch.no_grad()
    def put_back(self) -> None:
        set_random_state(self._random, self._device)
        _copy(self._live, self._kept)
        _copy(self._counts, self._kept_counts)


def random_state(device: torch.device) -> list[Tensor]:
    """The states of torch's generators, uint8: the CPU's, then on a GPU that one's."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_random_state(states: list[Tensor], device: torch.device) -> None:
    """Put back what `random_state` gave; of a run that has moved to another kind of device, what there is."""
    torch.set_rng_state(states[0].cpu())
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1].cpu(), device)


def all_random_states(device: torch.device, ranks: Ranks) -> list[list[Tensor]]:
    """`random_state` of every process in order of rank; all must ask at the same step."""
    each = [ranks.gather(state) for state in random_state(device)]
    return [list(states) for states in zip(*each, strict=True)]


@torch.no_grad()
def share(tensors: Iterable[Tensor], ranks: Ranks) -> None:
    """Give every process the values of rank 0, whose model is the one that is saved."""
    if ranks.size > 1:
        for tensor in tensors:
            tensor.copy_(ranks.gather(tensor)[0])


def _copy(to: list[Tensor], of: list[Tensor]) -> None:
    if to:
        torch._foreach_copy_(to, of)
