"""Sweeps as they are: processes that are stopped, killed and joined by others, over runs in the queue."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core import jobs
from core.runs.about import read_about
from core.runs.store import list_runs, open_run
from core.sweeps.launch import start_worker, stop_sweep
from core.sweeps.results import best_row, num_done, start_row
from core.sweeps.spec import make_budget
from core.sweeps.store import Sweep, set_budget
from core.workspace import Workspace
from tests.sweeps.conftest import EPOCHS, MakeSweep, ended
from tests.sweeps.light_run import peak
from tests.waiting import wait_until


def _kill(folder: Path) -> None:
    identity = jobs.read_status(folder)
    assert identity.pid is not None
    os.kill(identity.pid, signal.SIGKILL)
    wait_until(lambda: jobs.read_status(folder).ended, "the process to be gone")


def _running(sweep: Sweep) -> list[str]:
    """Runs of trials under way that have had an epoch."""
    return [row.run for row in sweep.trials() if row.state == "running" and row.run and row.curve]


def test_a_sweep_tries_prunes_and_ends_with_its_budget(light_sweep: MakeSweep, workspace: Workspace) -> None:
    sweep = light_sweep("one", trials=9, epoch_s=0.1, seed=1)
    start_worker(sweep)
    status = ended(sweep)
    assert status.state == "finished", status
    rows = sweep.trials()
    assert num_done(rows) == 9 and [row.number for row in rows] == list(range(10))
    assert rows[0].start and rows[0].state == "finished" and len(rows[0].curve) == EPOCHS
    pruned = [row for row in rows if row.state == "pruned"]
    assert pruned and all(len(row.curve) < EPOCHS and "Pruned after epoch" in row.reason for row in pruned)
    for row in rows:  # each trial is an ordinary run with the values that were drawn
        run = open_run(workspace, row.run)
        config = run.config
        assert config.optim.learning_rate == row.values["optim.learning_rate"]
        assert config.stop.monitor == "val_accuracy" and sweep.tag in read_about(run).tags
        assert run.status.state == ("stopped" if row.state == "pruned" else "finished"), run.status
        best = peak(config.optim.learning_rate, config.model.dropout) * (1 - 0.5**row.epoch)
        assert row.score == pytest.approx(best) and row.epoch == len(row.curve)
    assert all("Pruned after epoch" in open_run(workspace, row.run).status.message for row in pruned)
    best, start = best_row(sweep.spec, rows), start_row(rows)
    assert best is not None and start is not None and best.score >= start.score  # type: ignore[operator]
    assert set(sweep.importance()) == {"optim.learning_rate", "model.dropout"}
    assert "9 trials done" in status.message and len(list_runs(workspace)) == 10


def test_killed_in_the_middle_it_loses_no_finished_trial_and_takes_its_runs_over(
    light_sweep: MakeSweep, workspace: Workspace
) -> None:
    sweep = light_sweep("one", trials=4, epoch_s=0.2, pruner="none", sampler="random")
    worker = start_worker(sweep)
    wait_until(lambda: num_done(sweep.trials()) >= 1 and _running(sweep) != [], "a finished trial and one under way")
    _kill(worker)
    before = [row for row in sweep.trials() if row.over]
    (at_work,) = _running(sweep)
    assert sweep.status.state == "lost" and not open_run(workspace, at_work).status.ended  # the run goes on
    assert start_worker(sweep) == worker
    assert ended(sweep).state == "finished"
    after = sweep.trials()
    assert [row for row in after if row.number in {one.number for one in before}] == before
    assert num_done(after) == 4 and all(row.state == "finished" for row in after)
    assert at_work in {row.run for row in after} and len(list_runs(workspace)) == len(after) == 5


def test_a_trial_whose_run_is_killed_is_marked_and_its_place_refilled(
    light_sweep: MakeSweep, workspace: Workspace
) -> None:
    sweep = light_sweep("one", trials=2, epoch_s=0.2, pruner="none", sampler="random")
    worker = start_worker(sweep)
    wait_until(lambda: len(sweep.trials()) > 1 and len(_running(sweep)) == 1, "a trial under way")
    _kill(worker)  # both at once: the trial's run, and who would have noticed
    (killed,) = _running(sweep)
    _kill(open_run(workspace, killed).folder)
    start_worker(sweep)
    assert ended(sweep).state == "finished"
    rows = sweep.trials()
    (lost,) = [row for row in rows if row.run == killed]
    assert lost.state == "failed" and not lost.counts and "ended without a word" in lost.reason
    (again,) = [row for row in rows if row.values == lost.values and row.number != lost.number]
    assert again.state == "finished" and again.run != killed
    assert num_done(rows) == 2


def test_a_stopped_sweep_goes_on_with_the_runs_it_had(light_sweep: MakeSweep, workspace: Workspace) -> None:
    sweep = light_sweep("one", trials=3, epoch_s=0.4, pruner="none", sampler="random", at_once=2)
    start_worker(sweep)
    wait_until(lambda: len(_running(sweep)) >= 1, "a trial under way")
    stop_sweep(sweep)
    status = ended(sweep)
    assert status.state == "stopped" and "can go on" in status.message, status
    paused = [row.run for row in sweep.trials() if row.state == "running"]
    assert paused and all(open_run(workspace, run).status.state == "stopped" for run in paused)
    epochs = {run: len(open_run(workspace, run).metrics()) for run in paused}
    assert any(epochs.values())
    set_budget(sweep, make_budget(sweep.spec, trials=4))
    start_worker(sweep)
    assert ended(sweep).state == "finished"
    rows = sweep.trials()
    assert num_done(rows) == 4 and all(row.state == "finished" for row in rows)
    assert set(paused) <= {row.run for row in rows} and len(list_runs(workspace)) == 5
    for run in paused:  # gone on, not begun anew
        assert [row["epoch"] for row in open_run(workspace, run).metrics()] == list(range(1, EPOCHS + 1))


def test_two_processes_on_one_study_run_disjoint_trials(light_sweep: MakeSweep, workspace: Workspace) -> None:
    sweep = light_sweep("one", trials=7, epoch_s=0.05, at_once=2)
    first, second = start_worker(sweep), start_worker(sweep)
    assert first != second
    assert ended(sweep).state == "finished"
    rows = sweep.trials()
    logs = [(folder / jobs.LOG).read_text() for folder in (first, second)]
    assert num_done(rows) == 7 and len({row.run for row in rows}) == len(rows) == len(list_runs(workspace))
    assert len({str(row.values) for row in rows}) == len(rows)
    began = [{line.split(":")[2].split()[-1] for line in log.splitlines() if ": 20" in line} for log in logs]
    assert not began[0] & began[1] and len(began[0] | began[1]) == len(rows) and all(began)


def test_what_nobody_can_train_ends_the_sweep_with_the_reason(light_sweep: MakeSweep, workspace: Workspace) -> None:
    sweep = light_sweep("one", trials=10, epoch_s=-1.0)  # time.sleep refuses, and each run fails at once
    start_worker(sweep)
    status = ended(sweep)
    assert status.state == "failed" and "The first 3 trials failed" in status.message, status


def test_time_is_a_budget_too(light_sweep: MakeSweep) -> None:
    sweep = light_sweep("one", trials=0, minutes=0.02)
    start_worker(sweep)
    status = ended(sweep)
    assert status.state == "finished" and 1 <= len(sweep.trials()) < 60
