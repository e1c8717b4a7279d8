"""Sweeps whose runs are light: what is tested is the search, not the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd
import pytest

from core import jobs
from core.config import build_config
from core.runs.launch import stop_run
from core.runs.store import list_runs
from core.sweeps import launch
from core.sweeps.space import Range
from core.sweeps.spec import make_budget, make_spec
from core.sweeps.store import Sweep, create_sweep
from core.workspace import Workspace
from tests.sweeps.light_run import EPOCH_S
from tests.waiting import wait_until

SPACE = {"optim.learning_rate": Range(low=1e-4, high=1.0, log=True), "model.dropout": Range(low=0.0, high=0.5)}
MANIFEST = pd.DataFrame({"path": ["a.png"], "label": ["cat"], "split": ["train"]})
EPOCHS = 8
MakeSweep = Callable[..., Sweep]


@pytest.fixture
def light_sweep(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSweep]:
    """Makes a sweep, `light_sweep("name", trials=10, sampler="random", epoch_s=0.01)`, and ends it at the end."""
    monkeypatch.setattr(launch, "PROGRAM", "tests.sweeps.light_work")
    made: list[Sweep] = []

    def make(name: str, home: Workspace = workspace, epoch_s: float = 0.01, **asked: object) -> Sweep:
        monkeypatch.setenv(EPOCH_S, str(epoch_s))
        spending = {key: asked.pop(key) for key in ("trials", "minutes", "at_once") if key in asked}
        spec = make_spec(build_config({"optim.epochs": EPOCHS}, "quick"), "print", SPACE, **asked)
        made.append(create_sweep(home, name, spec, make_budget(spec, **spending), MANIFEST, {}))
        return made[-1]

    yield make
    for sweep in made:
        launch.stop_sweep(sweep)
    for run in list_runs(workspace):
        stop_run(run)
    wait_until(lambda: not any(sweep.num_at_work for sweep in made), "the sweeps to end")


def ended(sweep: Sweep) -> jobs.Status:
    """Wait until nobody is at work on it."""
    wait_until(lambda: not sweep.num_at_work, f"{sweep.id} to end", 100)
    return sweep.status
