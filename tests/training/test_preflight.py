"""What is tried before a run: the forecast counts up what was measured, and refuses what cannot work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.config import OptimConfig, ScheduleConfig, StopConfig, build_config
from core.data.datasets import index_path
from core.data.splits import divide
from core.errors import InputError
from core.jobs import StatusWriter
from core.runs.preflight import Forecast
from core.training.backbone.engines import Engine
from core.training.backbone.kept_features import KeptFeatures
from core.training.batching.batches import TensorBatches
from core.training.loop.engine import Recipe
from core.training.setup import Setup, set_up
from core.training.trials import preflight, trial_learning
from core.training.trials.lr_finder import range_test
from core.training.trials.pace import Pace, measure_pace
from core.training.trials.rate_test import rates, read
from core.training.watch import Stopped
from core.workspace import Workspace
from tests.conftest import write_images

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """A workspace with one dataset of 80 little images, and the dataset's id."""
    home = tmp_path_factory.mktemp("preflight")
    images = write_images(home / "photos", {"cat": 40, "dog": 40}, "class folders", (24, 18), ".png", 0)
    workspace = Workspace(home / "home")
    return workspace, index_path(workspace, images).id


def _setup(home: tuple[Workspace, str], preset: str = "from-scratch", **values: Any) -> Setup:
    workspace, dataset = home
    named = {name.replace("__", "."): value for name, value in values.items()}
    small = {"data.dataset": dataset, "preprocess.image_size": 16, "optim.batch_size": 8, "optim.epochs": 7}
    config = build_config(small | named, preset)
    return set_up(config, divide(workspace, config).manifest, workspace)


@pytest.fixture
def forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr("core.training.trials.pace.LONG_ENOUGH_S", 0.05)  # no test waits for a steady speed
    monkeypatch.setattr(trial_learning, "LOADED_ALONE_S", 0.05)

    with StatusWriter(tmp_path) as status:
        yield lambda setup: Forecast(**preflight.forecast(setup, status))


def test_a_run_that_works_is_counted_up_from_its_parts(home: tuple[Workspace, str], forecast: Any) -> None:
    found = forecast(_setup(home))
    assert found.refusals == [] and found.advice == []
    assert list(found.phases) == ["starting", "reading", "training", "writing", "exporting", "evaluating"]
    assert found.seconds == pytest.approx(sum(found.phases.values())) and min(found.phases.values()) > 0
    assert (found.batch_size, found.accumulate, found.device) == (8, 1, "cpu")
    assert found.bound == ("loader" if found.loader_images_per_s < found.compute_images_per_s else "compute")
    assert 0 < found.images_per_s <= found.compute_images_per_s * 1.01
    assert 100 < found.peak_memory_mb < found.free_memory_mb and 100 < found.disk_mb < found.free_disk_mb
    assert not list(home[0].runs.iterdir())  # trying leaves no run behind


def test_what_cannot_work_is_refused_with_what_would(
    home: tuple[Workspace, str], forecast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="image_size"):
        forecast(_setup(home, model__architecture="densenet121", model__weights="random", model__tune="all"))
    monkeypatch.setattr(preflight, "free_bytes", lambda device: -1e12)
    monkeypatch.setattr(trial_learning, "measure_pace", _pace_of_small_batches)
    found = forecast(_setup(home))
    assert found.batch_size == 2 and found.accumulate == 4
    assert len(found.refusals) == 1 and "of memory" in found.refusals[0] and "optim.batch_size" in found.refusals[0]
    assert "optim.accumulate = 4" in found.advice[0]  # a busy machine may add that loading holds it up


def _pace_of_small_batches(model: nn.Module, groups: Any, train: Any, val: Any, recipe: Recipe, stop: Any) -> Pace:
    from core.training.loop.engine import OutOfMemory

    if recipe.optim.batch_size > 2:
        raise OutOfMemory(None)
    return Pace(0.1, 0.0, 0.01, 0.0, 8, 0.001, 0.0, 0.0, 1000)


def test_features_and_head_are_counted_apart(
    home: tuple[Workspace, str], forecast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def engine(inputs: np.ndarray) -> np.ndarray:
        calls.append(len(inputs))
        time.sleep(0.01)
        return np.zeros((len(inputs), 128), np.float32)

    def fastest(*_: object) -> tuple[Engine, None]:
        time.sleep(0.02)
        return Engine(engine), None

    def features_s(found: Any, num_images: int) -> float:
        """All are computed; what is not decoded while the engine is made ready is decoded too, at half speed."""
        ahead = min(num_images, found.phases["preparing"] * found.loader_images_per_s / 2)
        return num_images / found.compute_images_per_s + (num_images - ahead) / found.loader_images_per_s

    monkeypatch.setattr(trial_learning, "fastest_engine", fastest)
    setup = _setup(home)
    # A small network in the place of a pretrained one, which no user could choose for this.
    config = setup.config.model_copy(update={"model": setup.config.model.model_copy(update={"tune": "head"})})
    setup = replace(setup, config=config)
    found = forecast(setup)
    assert list(found.phases)[:4] == ["starting", "preparing", "features", "training"]
    assert sum(calls) == 16 + 56  # a batch to warm up and all training images, as they are few; counted up to all 80
    assert found.phases["features"] == pytest.approx(features_s(found, 80))
    kept = KeptFeatures.of(setup.workspace.features, setup.network().backbone, setup.spec, CPU)
    kept.add(setup.images("train"), np.zeros((56, 128), np.float32))
    found = forecast(setup)  # a run will find those and compute 24
    assert found.phases["features"] == pytest.approx(features_s(found, 24))


def test_a_whole_training_is_the_sum_of_its_steps() -> None:
    pace = Pace(
        warm_up_s=2.0,
        epoch_s=0.5,
        step_s=0.1,
        waiting_s=0.02,
        images_a_step=32,
        val_image_s=0.01,
        after_epoch_s=0.25,
        checkpoint_s=0.0,
        checkpoint_bytes=0,
    )
    # 2 s once; in each of 3 epochs half a second, 20 steps, 50 validation images, a quarter second at the end.
    assert pace.run_s(3, 20, 50) == pytest.approx(2 + 3 * (0.5 + 2.0 + 0.5 + 0.25))


def _points(count: int, seed: int | None = 0) -> TensorBatches:
    points = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    return TensorBatches(points, (points.sum(dim=1) > 0).long(), 8, CPU, seed)


class _Slow(nn.Module):
    """Each batch takes two milliseconds, whatever the machine is doing: they are counted, not waited for."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self.clock, self.layer = clock, nn.Linear(2, 2)

    def forward(self, points: Tensor) -> Tensor:
        self.clock[0] += 0.002 if self.training else 0.001
        return self.layer(points)


def test_the_pace_is_that_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("core.training.trials.pace.LONG_ENOUGH_S", 0.1)
    recipe = Recipe(OptimConfig(batch_size=8), ScheduleConfig(), StopConfig(), device=CPU)
    with pytest.raises(Stopped):
        measure_pace(_Slow(clock), None, _points(80), _points(16, None), recipe, lambda: True)
    pace = measure_pace(_Slow(clock), None, _points(80), _points(16, None), recipe, lambda: False)
    assert pace.step_s == pytest.approx(0.002) and pace.warm_up_s == pytest.approx(0.0)
    assert pace.images_a_step == 8 and pace.val_image_s == pytest.approx(0.002 / 16)
    assert pace.run_s(2, 10, 16) == pytest.approx(2 * (10 * 0.002 + 0.002))


def test_the_rate_finder_suggests_a_rate_that_learns(home: tuple[Workspace, str]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    recipe = Recipe(OptimConfig(batch_size=8, optimizer="sgd"), ScheduleConfig(), StopConfig(), device=CPU)
    losses = range_test(model, None, _points(256), recipe, rates(), lambda: False)
    reading = read(rates()[: len(losses)], losses)
    assert 0.3 < losses[0] < 1.2  # nothing learned: about ln 2, of eight images
    assert reading.suggestion is not None and 1e-3 < reading.suggestion < 1
