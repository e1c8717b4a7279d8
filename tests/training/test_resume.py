"""A run that is interrupted, anywhere and however often, ends with the weights it would have had, to the last bit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import OptimConfig, RuntimeConfig, ScheduleConfig, StopConfig
from core.errors import InputError
from core.training.batching.loaders import TensorBatches
from core.training.loop.engine import Callbacks, OutOfMemory, Progress, Recipe, fit

CPU = torch.device("cpu")
State = dict[str, Any]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny tensors are computed sooner by one than shared between several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _images(count: int, seed: int, shuffle_seed: int | None = None) -> TensorBatches:
    """Three classes, by the channel that is brightest."""
    inputs = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return TensorBatches(inputs, inputs.mean(dim=(2, 3)).argmax(dim=1), 4, CPU, shuffle_seed)


class _Greedy(nn.Module):
    """Asks for more memory than there is at one forward pass, counted from 1, after others have changed things."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.count = at, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.count += self.training
        if self.training and self.count == self.at:
            torch.empty(2**62, dtype=torch.uint8)
        return inputs


def _model(seed: int = 0, greedy_at: int = 0, plain: bool = False) -> nn.Sequential:
    """With what a step changes besides weights: statistics of batch normalisation, and dropout's random numbers."""
    torch.manual_seed(seed)
    between = [nn.Identity()] if plain else [nn.BatchNorm2d(6), nn.Dropout(0.3)]
    layers = [nn.Conv2d(3, 6, 3, padding=1), *between, nn.ReLU(), _Greedy(greedy_at), nn.Flatten(), nn.Linear(96, 8)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(8, 3))


def _recipe(optim: dict[str, Any], kind: str = "cosine", **runtime: Any) -> Recipe:
    return Recipe(
        OptimConfig.model_validate({"epochs": 3, "batch_size": 4, "learning_rate": 0.003} | optim),
        ScheduleConfig.model_validate({"kind": kind, "plateau_patience": 0}),
        StopConfig(min_delta=1.0, patience=0),  # nothing is ever better, so that the plateau lowers the rate
        RuntimeConfig.model_validate({"deterministic": True} | runtime),
        num_classes=3,
    )


def _callbacks(
    states: list[State], rows: list[State], every_step: bool = False, stop_after: float = math.inf
) -> Callbacks:
    asked = itertools.count()

    def on_epoch(row: State, state: State) -> None:
        rows.append(
            {name: value for name, value in row.items() if name not in ("seconds", "images_per_s", "waiting_s")}
        )
        states.append(_through_a_file(state) if every_step else state)

    return Callbacks(
        lambda *_: None,
        on_epoch,
        lambda: next(asked) >= stop_after,
        lambda: every_step,
        lambda state: states.append(_through_a_file(state)),
    )


def _through_a_file(state: State) -> Any:
    stream = BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


def _fit(model: nn.Module, recipe: Recipe, callbacks: Callbacks, saved: State | None = None) -> Progress:
    return fit(model, None, _images(11, 1, shuffle_seed=3), _images(7, 2), recipe, callbacks, saved)


def _assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Down to the last bit, but for clocks."""
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for name in one:
            if name not in ("seconds", "waiting_s"):
                _assert_equal(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, (first, second) in enumerate(zip(one, other, strict=True)):
            _assert_equal(first, second, f"{where}[{index}]")
    elif isinstance(one, Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


@pytest.mark.parametrize("kind", ["cosine", "plateau"])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop", "muon"])
def test_every_step_is_a_place_to_go_on_from(optimizer: str, ema_decay: float, accumulate: int, kind: str) -> None:
    optim = {"optimizer": optimizer, "ema_decay": ema_decay, "accumulate": accumulate, "clip_norm": 0.5}
    recipe = _recipe(optim, kind)
    states: list[State] = []
    rows: list[State] = []
    whole = _fit(_model(), recipe, _callbacks(states, rows, every_step=True))
    steps = 3 * (3 if accumulate == 1 else 2)  # 11 images are batches of 4, 4 and 3
    assert len(states) == steps + 3 and len(rows) == 3
    assert whole.num_lowered == (2 if kind == "plateau" else 0)
    for saved in states[:-1]:
        begun = saved["progress"]["epoch"]
        later: list[State] = []
        later_rows: list[State] = []
        resumed = _fit(_model(seed=9), recipe, _callbacks(later, later_rows), saved)
        _assert_equal(later[-1], states[-1])
        _assert_equal(later_rows, rows[begun:])
        assert resumed.best_epoch == whole.best_epoch


@pytest.mark.parametrize("after", [3, 4, 5])
def test_a_run_that_is_stopped_again_and_again_ends_where_it_would_have(after: int) -> None:
    """Also in the middle of a step of several batches, and in the middle of validation."""
    recipe = _recipe({"accumulate": 2, "ema_decay": 0.5})
    states: list[State] = []
    _fit(_model(), recipe, _callbacks(states, []))
    saved, parts = None, 0
    for parts in range(1, 30):  # noqa: B007
        stopped: list[State] = []
        progress = _fit(_model(seed=parts if saved else 0), recipe, _callbacks(stopped, [], stop_after=after), saved)
        saved = stopped[-1]
        if progress.epoch == 3:
            break
    assert 2 < parts < 29
    _assert_equal(saved, states[-1])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_and_resumes(precision: str) -> None:
    recipe = _recipe({"clip_norm": 1.0}, precision=precision)
    states: list[State] = []
    rows: list[State] = []
    _fit(_model(), recipe, _callbacks(states, rows, every_step=True))
    assert all(math.isfinite(row["val_loss"]) and row["grad_norm"] > 0 for row in rows)
    assert all(value.dtype != torch.float16 for value in states[-1]["model"].values())
    later: list[State] = []
    _fit(_model(seed=9), recipe, _callbacks(later, []), states[4])
    _assert_equal(later[-1], states[-1])


@pytest.mark.parametrize("at", [1, 2, 5, 6, 9])
def test_out_of_memory_carries_the_last_finished_step(at: int) -> None:
    recipe = _recipe({"accumulate": 2})
    states: list[State] = []
    _fit(_model(), recipe, _callbacks(states, []))
    with pytest.raises(OutOfMemory) as caught:
        _fit(_model(greedy_at=at), recipe, _callbacks([], []))
    assert caught.value.state is not None
    assert caught.value.__context__ is None  # it would hold on to the memory of the batch that did not fit
    later: list[State] = []
    _fit(_model(seed=9), recipe, _callbacks(later, []), caught.value.state)
    _assert_equal(later[-1], states[-1])


def test_smaller_batches_go_on_where_the_large_ones_did_not_fit() -> None:
    """Half the batch, twice as many a step: the same but for rounding, where nothing depends on a batch."""
    whole = _model(plain=True)
    rows: list[State] = []
    _fit(whole, _recipe({"optimizer": "sgd"}), _callbacks([], rows))
    with pytest.raises(OutOfMemory) as caught:
        _fit(_model(greedy_at=5, plain=True), _recipe({"optimizer": "sgd"}), _callbacks([], []))
    halved = _recipe({"optimizer": "sgd", "batch_size": 2, "accumulate": 2})
    smaller, later_rows, states = _model(plain=True), list[State](), list[State]()
    assert caught.value.state is not None and caught.value.state["position"]["image"] == 4
    _fit(smaller, halved, _callbacks(states, later_rows), caught.value.state)
    for one, other in zip(whole.parameters(), smaller.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert [row["train_loss"] for row in later_rows] == pytest.approx([row["train_loss"] for row in rows[1:]], rel=1e-5)


def test_accumulated_batches_are_one_large_one() -> None:
    """Also where the last step of an epoch has fewer images."""

    def trained(**optim: Any) -> tuple[list[Tensor], list[State]]:
        model, rows = _model(plain=True), list[State]()
        _fit(model, _recipe({"optimizer": "sgd", "clip_norm": 0.1} | optim), _callbacks([], rows))
        return [p.detach() for p in model.parameters()], rows

    (large, large_rows), (small, small_rows) = trained(batch_size=8), trained(batch_size=2, accumulate=4)
    for one, other in zip(large, small, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    for name in ("train_loss", "grad_norm", "val_loss"):
        assert [row[name] for row in large_rows] == pytest.approx([row[name] for row in small_rows], rel=1e-4)


def test_a_checkpoint_of_another_version_is_refused_with_advice() -> None:
    with pytest.raises(InputError, match="Start a new run"):
        _fit(_model(), _recipe({}), _callbacks([], []), {"progress": {}, "model": {}})


class _Unordered(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.clone().put_(torch.tensor([0]), torch.tensor([0.0]))


def test_what_cannot_be_computed_the_same_way_twice_is_refused() -> None:
    model = nn.Sequential(_Unordered(), _model())
    with pytest.raises(InputError, match="runtime.deterministic = false"):
        _fit(model, _recipe({}), _callbacks([], []))
    assert not torch.are_deterministic_algorithms_enabled()
    _fit(model, _recipe({}, deterministic=False), _callbacks([], []))
