"""Which images make up each batch of an epoch, and the random numbers that belong to each place in it.

Everything follows from the seed, the epoch and the place of an image in the epoch's order, so that a resumed run, one
with another batch size and one shared by several processes see the same images changed in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from core.errors import InputError

Sampler = Literal["shuffled", "balanced"]
_BLOCK = 1024  # places whose random numbers are drawn at once
_SMALLEST = 2  # images a process needs in a batch: batch normalisation cannot learn from one


@dataclass(frozen=True)
class Shard:
    """The part of each batch that falls to one of several processes."""

    rank: int = 0
    size: int = 1

    def part(self, start: int, stop: int) -> tuple[int, int]:
        """Where this process's part of the batch `start..stop` begins and ends; all parts together are the batch."""
        count = stop - start
        return start + count * self.rank // self.size, start + count * (self.rank + 1) // self.size


class Order:
    """The order of an epoch, and where its batches begin and end.

    Args:
        num_images: at least 1.
        batch_size: images a step, over all processes.
        seed: None keeps the images as they are, for validation; otherwise each epoch has an order of its own.
        labels: class indices, needed for `balanced`.
        sampler: `balanced` shows every class as often as any other, so images of rare classes several times.

    Raises:
        InputError: a batch has fewer images than there are processes to share it.
    """

    def __init__(
        self,
        num_images: int,
        batch_size: int,
        seed: int | None = None,
        *,
        labels: Tensor | None = None,
        sampler: Sampler = "shuffled",
        shard: Shard | None = None,
    ) -> None:
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self.sampler, self.shard = sampler, shard or Shard()
        self._labels = labels
        if seed is not None and min(batch_size, num_images) < self.shard.size:
            raise InputError(
                f"{self.shard.size} processes cannot share batches of {min(batch_size, num_images)} images.",
                "Raise optim.batch_size or lower runtime.processes.",
            )

    def indices(self, epoch: int) -> Tensor:
        """The images in the epoch's order, int64 (num_images,)."""
        if self.seed is None:
            return torch.arange(self.num_images)
        generator = seeded(self.seed, epoch)
        if self.sampler == "balanced" and self._labels is not None:
            return _balanced(self._labels, self.num_images, generator)
        return torch.randperm(self.num_images, generator=generator)

    def spans(self, first_image: int = 0, batch_size: int | None = None) -> list[tuple[int, int]]:
        """Where each batch begins and ends in the epoch's order, over all processes, from `first_image` on."""
        size = batch_size or self.batch_size
        starts = list(range(first_image, self.num_images, size))
        fewest = _SMALLEST * self.shard.size
        least = fewest if size >= fewest else self.shard.size  # of which each process gets one
        if self.seed is not None and len(starts) > 1 and self.num_images - starts[-1] < least:
            del starts[-1]  # too few to learn from: they join the batch before
        return list(pairwise([*starts, self.num_images]))


class Draws:
    """Random numbers for every place of an epoch, uniform in 0..1, the same however the places are asked for."""

    def __init__(self, seed: int, epoch: int, width: int) -> None:
        self._seed, self._epoch, self._width = seed, epoch, width
        self._blocks: dict[int, Tensor] = {}

    def at(self, places: Tensor) -> Tensor:
        """float32 (N, width) for places int64 (N,) of an epoch's order."""
        wanted = places // _BLOCK
        blocks = sorted(set(wanted.tolist()))
        for old in [block for block in self._blocks if block < blocks[0]]:
            del self._blocks[old]
        for block in blocks:
            if block not in self._blocks:
                generator = seeded(self._seed, self._epoch, block + 1)
                self._blocks[block] = torch.rand(_BLOCK, self._width, generator=generator)
        whole = torch.cat([self._blocks[block] for block in blocks])
        return whole[torch.searchsorted(torch.tensor(blocks), wanted) * _BLOCK + places % _BLOCK]


def seeded(*numbers: int) -> torch.Generator:
    """A generator for this combination of numbers, whatever was drawn before."""
    entropy = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(entropy >> np.uint64(1)))


def _balanced(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """As many of each class as of any other; within a class no image comes again before all others came."""
    present = [torch.nonzero(labels == label).flatten() for label in labels.unique()]
    turns = torch.randperm(len(present), generator=generator).tolist()  # who gets one more where it does not come out
    chosen = []
    for turn, members in zip(turns, present, strict=True):
        wanted = count // len(present) + (turn < count % len(present))
        rounds = -(-wanted // len(members))
        shuffled = [members[torch.randperm(len(members), generator=generator)] for _ in range(rounds)]
        chosen.append(torch.cat(shuffled)[:wanted] if shuffled else members[:0])
    together = torch.cat(chosen)
    return together[torch.randperm(len(together), generator=generator)]
