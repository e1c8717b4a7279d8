"""Processes that train together agree on sums, gradients and when to stop; one alone pays nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from core.training.distributed import ALONE, join, leave
from tests.running import in_two_processes


def test_alone_everything_is_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    model, tensor = nn.Linear(2, 2), torch.ones(3)
    assert join(on_gpu=False) is ALONE and ALONE.is_first
    assert ALONE.wrap(model) is model and ALONE.all_reduce_sum(tensor) is tensor
    assert ALONE.agreed(True) and not ALONE.agreed(False)
    assert ALONE.gather(tensor)[0] is tensor
    with ALONE.quiet(model):
        ALONE.barrier()
    leave(ALONE)


def _one_of_two(rank: int, port: int, folder: str) -> None:
    """Each holds half of a batch of four; what all found is saved by rank."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    os.environ.update(zip(names, (str(rank), str(rank), "2", "2", "127.0.0.1", str(port)), strict=True))
    torch.set_num_threads(1)
    ranks = join(on_gpu=False)
    torch.manual_seed(rank)  # other weights on each: wrapping must make them those of rank 0
    model = ranks.wrap(nn.Linear(3, 1))
    own = torch.arange(12.0).view(4, 3)[2 * rank : 2 * rank + 2]
    model(own).mean().backward()
    found = {
        "weight": model.module.weight.detach(),
        "gradient": model.module.weight.grad.clone(),
        "sum": ranks.all_reduce_sum(torch.tensor([rank + 1.0])),
        "parts": torch.cat(ranks.gather(torch.tensor([float(rank)]))),
        "stop": torch.tensor([ranks.agreed(rank == 0), ranks.agreed(rank == 1)]),
    }
    model.zero_grad()
    with ranks.quiet(model):
        model(own).mean().backward()
    found["own gradient"] = model.module.weight.grad.clone()
    torch.save(found, Path(folder) / f"{rank}.pt")
    leave(ranks)


def test_two_processes_have_the_sums_and_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    in_two_processes(_one_of_two, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first["weight"], second["weight"])
    # Of a linear layer's mean output the gradient is the mean input: of 0..11 in rows of three, (4.5, 5.5, 6.5).
    for found in (first, second):
        assert torch.equal(found["gradient"], torch.tensor([[4.5, 5.5, 6.5]]))
        assert found["sum"].tolist() == [3.0] and found["parts"].tolist() == [0.0, 1.0]
        assert found["stop"].tolist() == [True, False]
    assert torch.equal(first["own gradient"], torch.tensor([[1.5, 2.5, 3.5]]))
    assert torch.equal(second["own gradient"], torch.tensor([[7.5, 8.5, 9.5]]))
