"""How many threads a model's arithmetic is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

MOST_FOR_ONE = 500_000  # parameters of a head; beyond it two threads are faster


@contextmanager
def worthwhile_threads(model: nn.Module) -> Iterator[None]:
    """Inside it a small head learns in one thread.

    Its steps are shorter than it takes threads to meet, and where other programs keep the cores busy they wait for
    one another: 440 steps of a linear head took 4 s of a processor with one thread and 22 s with two.
    """
    before = torch.get_num_threads()
    is_small_head = (
        all(parameter.ndim <= 2 for parameter in model.parameters())
        and sum(parameter.numel() for parameter in model.parameters()) <= MOST_FOR_ONE
    )
    if is_small_head and before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
