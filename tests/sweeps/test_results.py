"""What is said of a sweep's trials, and the figures of it, against hand-made trials."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from core import charts_sweeps as charts
from core.config import build_config
from core.errors import DarkroomError, InputError
from core.sweeps.launch import start_worker
from core.sweeps.results import TrialRow, best_row, num_done, start_row, trial_table
from core.sweeps.space import Choices, Range
from core.sweeps.spec import SweepSpec, make_budget, make_spec
from core.sweeps.store import (
    SPEC,
    URL,
    Sweep,
    create_sweep,
    list_sweeps,
    open_sweep,
    set_budget,
    without_password,
    write_trials,
)
from core.sweeps.verdict import verdict
from core.workspace import REPOSITORY, Workspace

SPACE = {
    "optim.learning_rate": Range(low=1e-4, high=0.1, log=True),
    "optim.optimizer": Choices(values=("adamw", "sgd")),
}
MANIFEST = pd.DataFrame({"path": ["a.png"], "label": ["cat"], "split": ["train"]})


def _spec(metric: str = "val_accuracy") -> SweepSpec:
    return make_spec(build_config({}, "quick"), "print", SPACE, metric=metric)


def _row(number: int, state: str, score: float | None, rate: float, **more: object) -> TrialRow:
    values = {"optim.learning_rate": rate, "optim.optimizer": "sgd" if number % 2 else "adamw"}
    curve = [] if score is None else [[1, score / 2], [2, score]]
    return TrialRow(number, state, values, score=score, epoch=2, curve=curve, **more)  # type: ignore[arg-type]


ROWS = [
    _row(0, "finished", 0.90, 3e-3, start=True, counts=False, began=10.0, ended=12.5),
    _row(1, "finished", 0.80, 1e-4, began=13.0, ended=14.0),
    _row(2, "pruned", 0.40, 0.1, reason="Pruned after epoch 2."),
    _row(3, "failed", None, 0.09, reason="killed", counts=False),
    _row(4, "finished", 0.95, 0.01),
    _row(5, "finished", 0.95, 0.02),
    _row(6, "running", 0.99, 0.02),
]


def test_the_best_is_a_finished_trial_and_of_two_alike_the_earlier() -> None:
    best = best_row(_spec(), ROWS)
    assert best is not None and best.number == 4
    lowest = best_row(_spec("val_loss"), ROWS)
    assert lowest is not None and lowest.number == 1
    assert best_row(_spec(), ROWS[2:4]) is None and num_done(ROWS) == 4
    assert start_row(ROWS) is ROWS[0] and start_row(ROWS[1:]) is None


def test_the_table_has_the_best_so_far() -> None:
    table = trial_table(_spec(), list(reversed(ROWS)))
    assert table["trial"].tolist() == list(range(7))
    assert table["best_score"].tolist() == [0.90, 0.90, 0.90, 0.90, 0.95, 0.95, 0.95]
    assert table["seconds"].tolist()[:2] == [2.5, 1.0] and pd.isna(table["score"][3])
    assert table["optim.learning_rate"].tolist() == [3e-3, 1e-4, 0.1, 0.09, 0.01, 0.02, 0.02]
    assert trial_table(_spec(), []).empty


def test_the_verdict_says_so_where_nothing_was_gained(workspace: Workspace) -> None:
    better = verdict(workspace, _spec(), ROWS)
    assert better is not None and better.best.number == 4 and better.best_test is None
    assert "Trial 4 is best" in better.sentence and "95.0 %" in better.sentence and "90.0 %" in better.sentence
    same = verdict(workspace, _spec(), ROWS[:4])
    assert same is not None and "No trial was better" in same.sentence
    without = verdict(workspace, _spec(), ROWS[1:])
    assert without is not None and "did not finish" in without.sentence
    assert verdict(workspace, _spec(), ROWS[2:4]) is None


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_every_figure_is_drawn_from_the_table(metric: str) -> None:
    table = trial_table(_spec(metric), ROWS)
    factor = 1 if metric == "val_loss" else 100
    history = charts.history_chart(table, metric)
    drawn = {trace.name: list(trace.x) for trace in history.data}
    assert drawn == {
        "best so far": [0, 1, 2, 3, 4, 5, 6],
        "finished": [1, 4, 5],
        "pruned": [2],
        "running": [6],
        "the start": [0],
    }
    assert list(history.data[1].y) == pytest.approx([0.8 * factor, 0.95 * factor, 0.95 * factor])
    by_rate = charts.slice_chart(table, "optim.learning_rate", metric, log=True)
    assert by_rate.layout.xaxis.type == "log" and sum(len(trace.x) for trace in by_rate.data) == 6
    by_name = charts.slice_chart(table, "optim.optimizer", metric, log=False)
    assert by_name.layout.xaxis.type == "category"
    together = charts.parallel_chart(table, list(SPACE), metric, frozenset({"optim.learning_rate"}))
    (lines,) = together.data
    rate, optimizer, score = lines.dimensions
    assert list(rate["values"]) == pytest.approx([-2.5228787, -4, -2, -1.69897]) and rate["ticktext"][0] == "0.0001"
    assert list(optimizer["ticktext"]) == ["adamw", "sgd"] and list(optimizer["values"]) == [0, 1, 0, 1]
    assert list(score["values"]) == pytest.approx([0.9 * factor, 0.8 * factor, 0.95 * factor, 0.95 * factor])
    curves = charts.curves_chart([(row.number, row.state, row.curve) for row in ROWS if row.curve], metric)
    assert len(curves.data) == 6 and [trace.showlegend for trace in curves.data].count(True) == 3


def test_importance_is_drawn_with_the_largest_first() -> None:
    figure = charts.importance_chart({"optim.epochs": 0.2, "model.dropout": 0.7, "optim.batch_size": 0.1})
    assert list(figure.data[0].y) == ["model.dropout", "optim.epochs", "optim.batch_size"]
    assert list(figure.data[0].x) == pytest.approx([70, 20, 10])


def test_names_that_plotly_would_read_are_shown_as_written() -> None:
    table = trial_table(_spec(), ROWS).assign(**{"optim.optimizer": "<b>bold</b> $x$"})
    figure = charts.slice_chart(table, "optim.optimizer", "val_accuracy", log=False)
    assert set(figure.data[0].x) == {"&lt;b&gt;bold&lt;/b&gt; &#36;x&#36;"}


def test_a_sweep_is_there_once_and_asks_one_thing(workspace: Workspace) -> None:
    spec = _spec()
    sweep = create_sweep(workspace, "My Sweep!", spec, make_budget(spec), MANIFEST, {"num_edits": 0})
    assert sweep.id == "my-sweep" and sweep.spec == spec and sweep.tag == "sweep:my-sweep"
    assert list_sweeps(workspace) == [sweep] == [open_sweep(workspace, "my-sweep")]
    assert sweep.manifest().equals(MANIFEST) and sweep.data() == {"num_edits": 0}
    again = create_sweep(workspace, "my sweep", spec, make_budget(spec, trials=50), MANIFEST, {})
    assert again == sweep and again.budget.trials == 50
    with pytest.raises(InputError, match="with other metric"):
        create_sweep(workspace, "my-sweep", _spec("val_loss"), make_budget(spec), MANIFEST, {})
    other = make_spec(build_config({"optim.epochs": 3}, "quick"), "print", SPACE)
    with pytest.raises(InputError, match=r"with other optim\.epochs"):
        create_sweep(workspace, "my-sweep", other, make_budget(spec), MANIFEST, {})
    with pytest.raises(InputError, match="no sweep"):
        open_sweep(workspace, "another")


def test_trials_are_kept_as_plain_rows(workspace: Workspace) -> None:
    spec = _spec()
    sweep = create_sweep(workspace, "one", spec, make_budget(spec), MANIFEST, {})
    assert sweep.trials() == [] and sweep.importance() == {} and sweep.status.state == "stopped"
    write_trials(sweep, ROWS, {"optim.learning_rate": 1.0})
    assert sweep.trials() == ROWS and sweep.importance() == {"optim.learning_rate": 1.0}
    set_budget(sweep, make_budget(spec, trials=0, minutes=5))
    assert sweep.budget.minutes == 5
    (sweep.folder / SPEC).write_text('{"space": {}}')
    with pytest.raises(DarkroomError, match="damaged"):
        _ = Sweep(sweep.id, sweep.folder).spec


def test_a_study_is_looked_for_where_it_was_begun(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = _spec()
    here = create_sweep(workspace, "here", spec, make_budget(spec), MANIFEST, {})
    monkeypatch.setenv(URL, "postgresql+psycopg://me:secret@host/db")
    with pytest.raises(InputError, match="was begun in this workspace"):
        start_worker(here)
    there = create_sweep(workspace, "there", spec, make_budget(spec), MANIFEST, {})
    assert there.is_shared and "secret" not in "".join(path.read_text() for path in there.folder.glob("*.json"))
    monkeypatch.delenv(URL)
    with pytest.raises(InputError, match="is kept in"):
        start_worker(there)
    assert without_password("postgresql://me:a@host/db") == "postgresql://me@host/db" and Path(here.folder).is_dir()


def test_what_pages_draw_a_sweep_with_comes_without_optuna() -> None:
    wanted = [
        "charts_sweeps",
        *(f"sweeps.{name}" for name in ("launch", "results", "space", "spec", "store", "verdict")),
    ]
    names = ", ".join(f"core.{name}" for name in wanted)
    code = f"import sys, {names}; assert not {{'optuna', 'torch'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
