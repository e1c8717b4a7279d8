"""A small head learns in one thread, anything else in as many as there are, and what was set before comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from core.training.loop.threads import MOST_FOR_ONE, worthwhile_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("model", "threads"),
    [
        (nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 2)), 1),
        (nn.Sequential(nn.Linear(1280, 64), nn.ReLU(), nn.Linear(64, 2)), 1),
        (nn.Linear(1000, MOST_FOR_ONE // 1000), 3),  # its biases are too many
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2)), 3),
    ],
)
def test_threads_by_what_there_is_to_do(model: nn.Module, threads: int) -> None:
    with pytest.raises(KeyError), worthwhile_threads(model):
        assert torch.get_num_threads() == threads
        raise KeyError
    assert torch.get_num_threads() == 3
