"""A run's fitting survives what happens to it: too little memory, a stop at any step, a damaged checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import TrainConfig, build_config
from core.data.datasets import index_path
from core.data.splits import divide
from core.errors import DarkroomError
from core.files import read_jsonl
from core.training.batching.batches import TensorBatches
from core.training.loop.engine import Progress
from core.training.reporting import Silent
from core.training.session import Checkpoint, Session
from core.training.setup import Setup, set_up
from core.workspace import Workspace
from tests.conftest import ImageFolder

CPU = torch.device("cpu")
TOO_MUCH = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000 bytes. Error code 12"


class _Greedy(nn.Module):
    """Learns from as many images at once as it is told there is memory for."""

    def __init__(self, most: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.most, self.seen = most, list[int]()
        self.layer = nn.Linear(2, 2)

    def forward(self, points: Tensor) -> Tensor:
        if self.training:
            self.seen.append(len(points))
            if len(points) > self.most:
                raise RuntimeError(TOO_MUCH)
        return self.layer(points)


class _Noting(Silent):
    """Keeps what the page would show."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.messages: list[str] = []
        self.extras: list[dict[str, Any]] = []
        self._stop_after = stop_after

    @property
    def stop_requested(self) -> bool:  # type: ignore[override]
        return self._stop_after is not None and len(self.extras) >= self._stop_after

    def update(self, **changes: Any) -> None:
        self.messages.append(changes.get("message", ""))

    def progress(self, done: int, total: int, **changes: Any) -> None:
        self.extras.append(changes["extra"])


@pytest.fixture
def setup(image_folder: ImageFolder, workspace: Workspace) -> Setup:
    dataset = index_path(workspace, image_folder())
    values: dict[str, Any] = {"data.dataset": dataset.id, "optim.epochs": 4, "optim.batch_size": 32}
    config: TrainConfig = build_config(values | {"runtime.deterministic": True}, "from-scratch")
    return set_up(config, divide(workspace, config).manifest, workspace)


def _batches(batch_size: int = 32) -> tuple[TensorBatches, TensorBatches]:
    points = torch.randn(96, 2, generator=torch.Generator().manual_seed(1))
    labels = (points.sum(dim=1) > 0).long()
    return (
        TensorBatches(points, labels, batch_size, CPU, shuffle_seed=0),
        TensorBatches(points[:20], labels[:20], batch_size, CPU),
    )


def _fit(setup: Setup, folder: Path, model: nn.Module, report: _Noting, log: list[str] | None = None) -> Progress:
    lines = [] if log is None else log
    session = Session(setup, Checkpoint(folder / "checkpoint.pt"), folder / "metrics.jsonl", report, lines.append)
    return session.fit(model, None, *_batches())


def test_too_little_memory_halves_the_batch_and_keeps_the_images_a_step(setup: Setup, tmp_path: Path) -> None:
    rich, poor, report, log = _Greedy(32), _Greedy(8), _Noting(), list[str]()
    (tmp_path / "rich").mkdir()
    _fit(setup, tmp_path / "rich", rich, _Noting())
    progress = _fit(setup, tmp_path, poor, report, log)
    assert progress.epoch == 4 and poor.seen[:2] == [32, 16] and set(poor.seen[2:]) == {8}
    assert report.extras[-1]["batch_size"] == 8 and report.extras[-1]["accumulate"] == 4
    assert report.extras[-1]["num_steps"] == 3  # as with whole batches of 32
    told = [line for line in log if "Out of memory" in line]
    assert len(told) == 2 and "going on from the last step with 8, 4 batches a step" in told[1]
    assert told == [message for message in report.messages if message]
    # The same images in the same steps: the same weights but for the rounding of sums.
    assert torch.allclose(poor.layer.weight, rich.layer.weight, atol=1e-5)
    assert [row["epoch"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]


def test_a_resumed_run_keeps_the_smaller_batch(setup: Setup, tmp_path: Path) -> None:
    _fit(setup, tmp_path, _Greedy(8), _Noting(stop_after=4))
    again, report = _Greedy(8), _Noting()
    _fit(setup, tmp_path, again, report)
    assert set(again.seen) == {8} and report.extras[0]["accumulate"] == 4


def test_memory_for_no_batch_at_all_is_said(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(DarkroomError, match="Out of memory with batches of 3 images.*optim.batch_size"):
        setup_3 = Setup(**vars(setup) | {"config": build_config(_values(setup, 3), "from-scratch")})
        _fit(setup_3, tmp_path, _Greedy(0), _Noting())


def _values(setup: Setup, batch_size: int) -> dict[str, Any]:
    return {"data.dataset": setup.config.data.dataset, "optim.batch_size": batch_size}


def test_stopped_at_every_step_the_weights_are_as_if_never_stopped(setup: Setup, tmp_path: Path) -> None:
    whole = _Greedy(32)
    (tmp_path / "whole").mkdir()
    _fit(setup, tmp_path / "whole", whole, _Noting())
    for _ in range(13):
        pieces = _Greedy(32)
        progress = _fit(setup, tmp_path, pieces, _Noting(stop_after=1))
    assert progress.epoch == 4
    assert torch.equal(pieces.layer.weight, whole.layer.weight)
    rows, expected = (read_jsonl(folder / "metrics.jsonl") for folder in (tmp_path, tmp_path / "whole"))
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in expected]


def test_a_damaged_or_foreign_checkpoint_is_named(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DarkroomError, match="checkpoint.pt is damaged or not a checkpoint. Delete it"):
        _fit(setup, tmp_path, _Greedy(32), _Noting())
    torch.save({"progress": {"epoch": 3}}, tmp_path / "checkpoint.pt")
    with pytest.raises(DarkroomError, match="earlier version"):
        _fit(setup, tmp_path, _Greedy(32), _Noting())


def test_checkpoints_take_a_small_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("core.training.session.time.monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    clock[0] = 4.9
    assert not checkpoint.is_due()
    clock[0] = 5.0
    assert checkpoint.is_due()

    class _Slow(dict[str, int]):
        def __reduce__(self) -> tuple[Any, ...]:
            clock[0] += 2.0  # as a large network's checkpoint takes
            return (dict, ())

    checkpoint.take({"state": _Slow()}, at_once=True)
    clock[0] += 39.0
    assert not checkpoint.is_due()
    clock[0] += 1.0
    assert checkpoint.is_due()
