"""The loop does what its settings say, and goes on after an interruption as if nothing had happened."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import OptimConfig, ScheduleConfig, StopConfig
from core.errors import DarkroomError
from core.training.batching.loaders import TensorBatches
from core.training.batching.sampling import Shard
from core.training.distributed import ALONE, Ranks, join, leave
from core.training.loop.engine import Callbacks, Diverged, Progress, Recipe, evaluate, fit, is_complete
from core.training.loop.totals import READ_EVERY, Tally, Totals
from core.training.models.groups import ParameterGroup
from tests.running import in_two_processes

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
    inputs = torch.ones((8, 2))
    inputs[4:] = math.inf
    broken = TensorBatches(inputs, torch.zeros(8, dtype=torch.long), 4, CPU)
    with pytest.raises(Diverged, match="epoch 1, step 2.*Lower optim.learning_rate.*clip_norm") as caught:
        fit(_model(), None, broken, _points(8, 2), _recipe(batch_size=4), _callbacks())
    assert (caught.value.epoch, caught.value.step) == (1, 2) and isinstance(caught.value, DarkroomError)


def test_an_exploding_loss_ends_the_run_while_it_is_still_a_number() -> None:
    recipe = _recipe(optimizer="sgd", learning_rate=10, momentum=0.0)
    inputs = torch.randn(80, 2, generator=torch.Generator().manual_seed(0)) * 1000
    labels = torch.arange(80) % 2  # nothing to learn
    with pytest.raises(Diverged, match="exploded.*guessing would be 0.7") as caught:
        fit(_model(), None, TensorBatches(inputs, labels, 8, CPU, 0), _points(8, 2), recipe, _callbacks())
    assert math.isfinite(caught.value.loss) and caught.value.loss > 70


def _tally(device: str) -> Tally:
    return Tally(OptimConfig(), 2, torch.device(device), ALONE)


def test_on_a_gpu_the_loss_is_read_seldom_and_no_divergence_is_missed() -> None:
    tally, totals = _tally("cuda"), Totals()
    for step in range(1, READ_EVERY):
        loss = math.nan if step == 5 else 3.0
        tally.add(totals, 1, step, 4, torch.tensor([loss, 2.0, math.nan]))
    assert totals.loss == 0  # nothing has been read
    with pytest.raises(Diverged, match="epoch 1, step 5"):
        tally.read(totals)
    tally, totals = _tally("cuda"), Totals()
    for step in range(1, READ_EVERY + 2):
        tally.add(totals, 1, step, 4, torch.tensor([3.0, 2.0, 0.5]))
    assert totals.loss == 3 * READ_EVERY and totals.correct == 2 * READ_EVERY and totals.mean_norm() == 0.5
    tally.read(totals)
    assert totals.correct == 2 * READ_EVERY + 2


def test_one_wild_batch_is_not_yet_the_end() -> None:
    tally, totals = _tally("cpu"), Totals()
    tally.add(totals, 1, 1, 1, torch.tensor([0.7, 1.0, math.nan]))
    tally.add(totals, 1, 2, 1, torch.tensor([200.0, 1.0, math.nan]))  # smoothed: 0.8 * 0.7 + 0.2 * 200 is under 70
    tally.add(totals, 1, 3, 1, torch.tensor([1.0, 1.0, math.nan]))
    with pytest.raises(Diverged, match="exploded to 200 at epoch 1, step 5"):
        for step in (4, 5):
            tally.add(totals, 1, step, 1, torch.tensor([200.0, 1.0, math.nan]))


def _stages() -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU())
    return nn.Sequential(first, nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 2))


def test_parts_sleep_until_their_epoch_statistics_included() -> None:
    model = _stages()
    never, later, head = model
    groups = [ParameterGroup([never], 1.0, None), ParameterGroup([later], 0.5, 2), ParameterGroup([head], 1.0, 0)]
    seen: list[dict[str, Tensor]] = []
    callbacks = Callbacks(
        lambda *_: None,
        lambda row, state: seen.append({name: value.clone() for name, value in state["model"].items()}),
        lambda: False,
    )
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    fit(model, groups, _points(40, 1, shuffle_seed=0), _points(20, 2), _recipe(epochs=4), callbacks)
    for index, state in enumerate(seen):
        before = [begun, *seen][index]
        moved = {name.split(".")[0] for name in state if not torch.equal(state[name], before[name])}
        assert moved == ({"2"} if index < 2 else {"1", "2"})  # two epochs pass before the second part learns


def test_a_part_learns_at_its_share_of_the_rate() -> None:
    def moved(rate: float) -> float:
        model = _stages()
        before = model[1][0].weight.detach().clone()
        groups = [ParameterGroup([model[0], model[2]], 1.0, 0), ParameterGroup([model[1]], rate, 0)]
        recipe = _recipe(epochs=1, optimizer="sgd", momentum=0.0, weight_decay=0.0)
        fit(model, groups, _points(8, 1), _points(8, 2), recipe, _callbacks())  # a single step
        return (model[1][0].weight.detach() - before).norm().item()

    assert moved(0.25) == pytest.approx(moved(1.0) / 4, rel=1e-3)


class _Mixed:
    """Batches whose labels are blended: every image is 0.7 of class 0 and 0.3 of class 1."""

    num_images, batch_size = 6, 3

    def __len__(self) -> int:
        return 2

    def sizes(self, first_image: int = 0, batch_size: int | None = None) -> list[int]:
        return [3] * ((6 - first_image) // 3)

    def epoch(self, epoch: int, first_image: int = 0, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in self.sizes(first_image):
            yield torch.zeros(3, 2), torch.tensor([[0.7, 0.3]] * 3)


def test_blended_labels_by_hand() -> None:
    model = nn.Linear(2, 2)
    model.bias.data = torch.tensor([math.log(3), 0.0])  # answers 3/4 and 1/4 to anything
    rows: list[dict[str, Any]] = []
    recipe = _recipe(epochs=1, learning_rate=1e-12, batch_size=3)
    fit(model, None, _Mixed(), _points(8, 2), recipe, _callbacks(rows))
    assert rows[0]["train_loss"] == pytest.approx(0.7 * math.log(4 / 3) + 0.3 * math.log(4))
    assert rows[0]["train_accuracy"] == 1  # the larger share counts


def test_the_plateau_lowers_the_rate_as_torch_does() -> None:
    losses = [1.0, 0.9, 0.95, 0.92, 0.91, 0.99, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
    schedule, stop = ScheduleConfig(kind="plateau", plateau_patience=1), StopConfig(min_delta=0.01)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=1, threshold=0.01, threshold_mode="abs"
    )
    progress = Progress()
    for epoch, loss in enumerate(losses, start=1):
        progress.note({"epoch": epoch, "val_loss": loss}, nn.Linear(1, 1), stop, schedule)
        torchs.step(loss)
        assert 0.1**progress.num_lowered == pytest.approx(optimizer.param_groups[0]["lr"])
    assert progress.num_lowered == 4


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_balanced_accuracy"])
def test_the_monitored_figure_names_the_best_epoch(monitor: str) -> None:
    progress = Progress()
    stop = StopConfig.model_validate({"monitor": monitor})
    for epoch, value in enumerate((0.5, 0.8, 0.7), start=1):
        progress.note({"epoch": epoch, monitor: value}, nn.Linear(1, 1), stop, ScheduleConfig())
    assert progress.best_epoch == 2 and progress.epochs_without_improvement == 1


def _rows_of(rank: int, port: int, folder: str) -> None:
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    os.environ.update(zip(names, (str(rank), str(rank), "2", "2", "127.0.0.1", str(port)), strict=True))
    torch.set_num_threads(1)
    ranks = join(on_gpu=False)
    torch.save(_shared(ranks), f"{folder}/{rank}.pt")
    leave(ranks)


def _shared(ranks: Ranks) -> dict[str, Any]:
    """The same run in however many processes. The last batch of 3 images cannot be halved."""
    torch.manual_seed(ranks.rank)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    if ranks.size == 1 or ranks.is_first:
        torch.manual_seed(0)
        model.load_state_dict(nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)).state_dict())
    shard = Shard(ranks.rank, ranks.size)

    def points(count: int, seed: int, shuffle_seed: int | None) -> TensorBatches:
        inputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
        labels = (inputs.sum(dim=1) > 0.5).long()
        return TensorBatches(inputs, labels, 8, CPU, shuffle_seed, shard=shard)

    optim = {"accumulate": 2, "clip_norm": 0.2, "ema_decay": 0.9, "class_weights": "balanced", "epochs": 3}
    recipe = Recipe(_recipe(**optim).optim, ScheduleConfig(), StopConfig(), class_counts=[40, 20])
    rows: list[dict[str, Any]] = []
    steps: list[int] = []
    callbacks = Callbacks(lambda *told: steps.append(told[1]), lambda row, state: rows.append(row), lambda: False)
    progress = fit(model, None, points(43, 1, 5), points(3, 2, None), recipe, callbacks, ranks=ranks)
    return {"rows": rows, "steps": steps, "best": progress.best_weights, "last": model.state_dict()}


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    in_two_processes(_rows_of, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = _shared(ALONE)
    assert first["steps"] == second["steps"] == alone["steps"] == [1, 2, 3] * 3
    for found in (first, second):
        for name in alone["last"]:
            assert torch.allclose(found["last"][name], alone["last"][name], atol=1e-6)
            assert torch.allclose(found["best"][name], alone["best"][name], atol=1e-6)
        for row, expected in zip(found["rows"], alone["rows"], strict=True):
            for name in set(row) - {"seconds", "waiting_s", "images_per_s"}:
                assert row[name] == pytest.approx(expected[name], rel=1e-4), name
    assert all(row["grad_norm"] > 0 for row in alone["rows"])


def test_evaluate_against_numbers_worked_by_hand() -> None:
    model = nn.Linear(1, 2, bias=False)
    model.weight.data = torch.tensor([[0.0], [1.0]])
    batches = TensorBatches(torch.tensor([[0.0], [math.log(3)], [2.0]]), torch.tensor([0, 1, 0]), 2, CPU)
    totals = evaluate(model, batches, 2)
    assert totals is not None
    expected = (math.log(2) + math.log(4 / 3) + math.log(1 + math.e**2)) / 3
    assert totals.mean_loss() == pytest.approx(expected, rel=1e-6)
    assert totals.accuracy() == pytest.approx(2 / 3)  # a tie goes to the first class
    assert totals.balanced_accuracy == pytest.approx((1 / 2 + 1) / 2)  # one of two zeros, the only one


def test_balanced_accuracy_leaves_out_classes_without_images() -> None:
    model = nn.Linear(1, 4, bias=False)
    model.weight.data = torch.tensor([[0.0], [1.0], [-1.0], [-2.0]])
    totals = evaluate(model, TensorBatches(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 1, 2]), 2, CPU), 4)
    assert totals is not None and totals.balanced_accuracy == 0.5 and totals.accuracy() == pytest.approx(2 / 3)
