"""The processes that train one model together: who is who, sums over all of them, one word that counts for all.

They are started by torchrun, on one machine or many; a run in a single process uses `ALONE`, where all of this is free.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

# A process that dies is noticed at once, by its closed connection; this bounds the wait for one that hangs.
PATIENCE = timedelta(hours=1)
_LOST = ("closed by peer", "reset by peer", "broken pipe", "socket closed", "nccl", "gloo")  # words of lost connections


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: from 0; the process of rank 0 alone writes files.
        size: how many there are.
        local_rank, local_size: the same among those of this machine; `local_rank` is also the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one process that writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model so that `backward` averages gradients over all processes; itself where there is only one.

        Starting weights and buffers (the statistics of batch normalisation) are those of rank 0; a batch norm layer
        still counts each process's part of a batch by itself.
        """
        if self.size == 1:
            return model
        device = next(model.parameters()).device
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)

    def quiet(self, model: nn.Module) -> AbstractContextManager[None]:
        """Inside it `backward` only adds to this process's own gradients: for all but the last batch of a step."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def all_reduce_sum(self, tensor: Tensor) -> Tensor:
        """The sum of every process's tensor; `tensor` itself stays as it is."""
        if self.size == 1:
            return tensor
        total = tensor.detach().clone()
        distributed.all_reduce(total)
        return total

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Every process's tensor in order of rank; all must be of one shape."""
        if self.size == 1:
            return [tensor]
        own = tensor.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(parts, own)
        return parts

    def agreed(self, answer: bool) -> bool:
        """What the process of rank 0 answers, told to all, so that none goes on alone.

        Asked before every step: it goes by way of the CPU, so that no GPU is waited for.
        """
        if self.size == 1:
            return answer
        told = torch.tensor([int(answer)])
        distributed.broadcast(told, src=0)
        return bool(told.item())

    def all_say(self, answer: bool) -> bool:
        """Whether every process answers yes; all of them have to ask."""
        return bool(self.all_reduce_sum(torch.tensor([float(not answer)])).item() == 0)

    def barrier(self) -> None:
        """Wait until all processes are here."""
        self.all_reduce_sum(torch.zeros(1))


ALONE = Ranks()


def join(on_gpu: bool) -> Ranks:
    """Meet the other processes torchrun started, as its environment says; `ALONE` where it started none.

    Args:
        on_gpu: each process takes the GPU of its local rank; what is on a GPU goes over NCCL, all else over gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    ranks = Ranks(*(int(os.environ[name]) for name in names))
    if on_gpu:
        torch.cuda.set_device(ranks.local_rank)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)
    return ranks


def leave(ranks: Ranks) -> None:
    """Part from the others once all have arrived here; what follows is done by one of them."""
    if ranks.size > 1:
        ranks.barrier()
        distributed.destroy_process_group()


def is_lost_peer(error: RuntimeError) -> bool:
    """Whether talking to another process failed, which is how its end is noticed."""
    return isinstance(error, distributed.DistError) or any(words in str(error).lower() for words in _LOST)
