"""The loop does what its settings say, and goes on after an interruption as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import OptimConfig, ScheduleConfig, StopConfig
from core.errors import DarkroomError
from core.training.engine import (
    Callbacks,
    Progress,
    Recipe,
    evaluate,
    fit,
    is_complete,
)
from core.training.loaders import TensorBatches

CPU = torch.device("cpu")


def _points(count: int, seed: int, batch_size: int = 8, shuffle_seed: int | None = None) -> TensorBatches:
    """Two classes on either side of a line."""
    inputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return TensorBatches(inputs, (inputs.sum(dim=1) > 0).long(), batch_size, CPU, shuffle_seed)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def _recipe(**optim: Any) -> Recipe:
    return Recipe(
        OptimConfig(**{"epochs": 6, "batch_size": 8, "learning_rate": 0.02} | optim), ScheduleConfig(), StopConfig()
    )


def _callbacks(
    rows: list[dict[str, Any]] | None = None,
    states: list[dict[str, Any]] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Callbacks:
    def on_epoch(row: dict[str, Any], state: dict[str, Any]) -> None:
        if rows is not None:
            rows.append(row)
        if states is not None:
            states.append(_through_a_file(state))

    return Callbacks(lambda *_: None, on_epoch, should_stop)


def _through_a_file(state: dict[str, Any]) -> Any:
    stream = BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def _same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_and_reports_one_row_an_epoch() -> None:
    rows: list[dict[str, Any]] = []
    model = _model()
    progress = fit(model, None, _points(200, 1, shuffle_seed=0), _points(100, 2), _recipe(), _callbacks(rows))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["val_accuracy"] > 0.9 and rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert progress.best_epoch == min(rows, key=lambda row: row["val_loss"])["epoch"]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("interrupted_after", [1, 4])
def test_resuming_gives_bit_identical_weights(optimizer: str, interrupted_after: int) -> None:
    recipe = _recipe(optimizer=optimizer)
    states: list[Any] = []
    whole = fit(_model(), None, _points(60, 1, shuffle_seed=3), _points(30, 2), recipe, _callbacks(states=states))
    torch.manual_seed(99)  # whatever happened to the global generator in between
    resumed_model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
    resumed = fit(
        resumed_model,
        None,
        _points(60, 1, shuffle_seed=3),
        _points(30, 2),
        recipe,
        _callbacks(),
        states[interrupted_after - 1],
    )
    assert _same(whole.best_weights, resumed.best_weights) and whole.best_epoch == resumed.best_epoch
    assert _same(states[-1]["model"], resumed_model.state_dict())


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    def run(seed: int) -> Progress:
        return fit(_model(), None, _points(60, 1, shuffle_seed=seed), _points(30, 2), _recipe(), _callbacks())

    assert _same(run(0).best_weights, run(0).best_weights)
    assert not _same(run(0).best_weights, run(1).best_weights)


def test_early_stopping_counts_epochs_without_improvement() -> None:
    rows: list[dict[str, Any]] = []
    recipe = Recipe(
        OptimConfig(epochs=50, batch_size=8, learning_rate=1e-9),
        ScheduleConfig(),
        StopConfig(patience=3, min_delta=0.5),
    )
    progress = fit(_model(), None, _points(40, 1, shuffle_seed=0), _points(20, 2), recipe, _callbacks(rows))
    assert len(rows) == 4 and progress.best_epoch == 1  # the first counts as an improvement, then three do not
    assert is_complete(progress, recipe)


def test_patience_zero_never_stops_early() -> None:
    recipe = Recipe(OptimConfig(epochs=5, learning_rate=1e-9), ScheduleConfig(), StopConfig(patience=0, min_delta=0.5))
    rows: list[dict[str, Any]] = []
    fit(_model(), None, _points(40, 1, shuffle_seed=0), _points(20, 2), recipe, _callbacks(rows))
    assert len(rows) == 5


def test_a_stop_in_mid_epoch_keeps_the_best_finished_one() -> None:
    asked = iter(range(10_000))
    rows: list[dict[str, Any]] = []
    progress = fit(
        _model(),
        None,
        _points(80, 1, shuffle_seed=0),
        _points(20, 2),
        _recipe(),
        _callbacks(rows, should_stop=lambda: next(asked) >= 15),  # ten steps an epoch
    )
    assert len(rows) == 1 and progress.epoch == 1 and progress.best_weights


def test_a_stop_before_the_first_epoch_keeps_nothing() -> None:
    progress = fit(_model(), None, _points(80, 1), _points(20, 2), _recipe(), _callbacks(should_stop=lambda: True))
    assert progress.best_epoch == 0 and not progress.best_weights


def test_divergence_is_told_with_epoch_step_and_advice() -> None:
    inputs = torch.full((8, 2), math.inf)
    broken = TensorBatches(inputs, torch.zeros(8, dtype=torch.long), 4, CPU, 0)
    with pytest.raises(DarkroomError, match="epoch 1, step 1.*Lower optim.learning_rate"):
        fit(_model(), None, broken, _points(8, 2), _recipe(), _callbacks())


def test_evaluate_against_numbers_worked_by_hand() -> None:
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = torch.tensor([[0.0], [1.0]])
    batches = TensorBatches(torch.tensor([[0.0], [math.log(3)], [2.0]]), torch.tensor([0, 1, 0]), 2, CPU)
    totals = evaluate(model, batches, 2)
    expected = (math.log(2) + math.log(4 / 3) + math.log(1 + math.e**2)) / 3
    assert totals.mean_loss() == pytest.approx(expected, rel=1e-6)
    assert totals.accuracy() == pytest.approx(2 / 3)  # a tie goes to the first class
