"""What processes that share a study agree on: whose trial is whose, what counts, what is tried again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from optuna.trial import TrialState

from core.config import build_config
from core.errors import DarkroomError, InputError
from core.sweeps.space import Choices, Range, grid
from core.sweeps.spec import SweepSpec, make_spec
from core.sweeps.study import DONE, LOST, START, SharedStudy, counts, read_spec

SPACE = {"model.dropout": Range(low=0.0, high=0.6), "optim.batch_size": Choices(values=(16, 32, 64))}
DONE_TRIAL = TrialState.COMPLETE


def _spec(**rules: object) -> SweepSpec:
    return make_spec(build_config({}, "quick"), "print", SPACE, **rules)


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/optuna.db"


def test_the_first_trial_has_the_settings_it_started_from_and_does_not_count(tmp_path: Path) -> None:
    study = SharedStudy(_url(tmp_path), "one", _spec())
    first, second = study.ask(), study.ask()
    assert first is not None and second is not None
    assert first.params == {"model.dropout": 0.2, "optim.batch_size": 32} and first.user_attrs[START]
    assert [counts(trial) for trial in study.trials()] == [False, True]
    assert study.rows()[0].start and not study.rows()[1].start


def test_the_same_seed_draws_the_same_and_trials_differ(tmp_path: Path) -> None:
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        study = SharedStudy(_url(tmp_path / name), "one", _spec(sampler="random", seed=5))
        drawn.append([trial.params for trial in (study.ask() for _ in range(6)) if trial])
    assert drawn[0] == drawn[1]
    assert len({str(values) for values in drawn[0]}) == 6


def test_a_process_that_opens_it_later_goes_on_and_does_not_repeat(tmp_path: Path) -> None:
    first = SharedStudy(_url(tmp_path), "one", _spec(sampler="random"))
    before = [first.ask() for _ in range(3)]
    second = SharedStudy(_url(tmp_path), "one", _spec(sampler="random"))
    after = [second.ask() for _ in range(3)]
    everything = [str(trial.params) for trial in [*before, *after] if trial]
    assert len(set(everything)) == 6 and [trial.number for trial in second.trials()] == list(range(6))
    assert read_spec(_url(tmp_path), "one") == _spec(sampler="random") and read_spec(_url(tmp_path), "two") is None


def test_a_name_asks_one_thing(tmp_path: Path) -> None:
    SharedStudy(_url(tmp_path), "one", _spec())
    with pytest.raises(InputError, match="asks something else"):
        SharedStudy(_url(tmp_path), "one", _spec(pruner="none"))


def test_of_trials_asked_for_at_the_same_moment_those_beyond_the_budget_wait(tmp_path: Path) -> None:
    SharedStudy(_url(tmp_path), "one", _spec())

    def work(_: int) -> list[tuple[int, bool]]:
        study = SharedStudy(_url(tmp_path), "one", _spec())
        asked = [trial for trial in (study.ask() for _ in range(2)) if trial]
        return [(trial.number, study.take_back(trial, 5)) for trial in asked]

    with ThreadPoolExecutor(4) as pool:
        asked = [one for found in pool.map(work, range(4)) for one in found]
    assert sorted(number for number, back in asked if not back) == [0, 1, 2, 3, 4, 5]  # the start and five trials
    back = sorted({number for number, back in asked if back})  # one that is given back may be asked for once more
    study = SharedStudy(_url(tmp_path), "one", _spec())
    assert sum(map(counts, study.trials())) == 5
    assert [trial.number for trial in study.trials() if trial.state == TrialState.WAITING] == back


def test_a_killed_trial_is_marked_and_its_place_refilled_twice(tmp_path: Path) -> None:
    study = SharedStudy(_url(tmp_path), "one", _spec(sampler="random"))
    study.ask()
    lost = study.ask()
    assert lost is not None
    values = lost.params
    for _ in range(2):
        assert lost is not None
        study.give_up(lost, "killed")
        assert study.rows()[lost.number].reason == "killed" and not study.rows()[lost.number].counts
        lost = study.ask()
        assert lost is not None and lost.params == values
    study.give_up(lost, "killed")
    again = study.ask()
    assert again is not None and again.params != values
    assert [trial.user_attrs.get("end") for trial in study.trials()] == [None, LOST, LOST, LOST, None]


def test_who_ends_a_trial_first_has_ended_it(tmp_path: Path) -> None:
    study, other = (SharedStudy(_url(tmp_path), "one", _spec()) for _ in range(2))
    trial = study.ask()
    assert trial is not None
    theirs = other.handle(other.trials()[0])
    assert study.end(trial, DONE_TRIAL, DONE, value=0.9)
    assert not other.end(theirs, TrialState.FAIL, DONE, "too late")
    assert [(row.state, row.reason) for row in other.rows()] == [("finished", "")]


def test_a_grid_is_gone_through_once_and_then_through(tmp_path: Path) -> None:
    space = {"model.dropout": Range(low=0.0, high=0.4, points=2), "optim.batch_size": Choices(values=(16, 64))}
    spec = make_spec(build_config({}, "quick"), "print", space, sampler="grid")
    study = SharedStudy(_url(tmp_path), "one", spec)
    seen = []
    while (trial := study.ask()) is not None:
        study.end(trial, DONE_TRIAL, DONE, value=0.5)
        seen.append((trial.params["model.dropout"], trial.params["optim.batch_size"]))
    values = grid(space)
    wanted = [(one, other) for one in values["model.dropout"] for other in values["optim.batch_size"]]
    assert sorted(seen) == sorted(wanted)


def test_combinations_that_cannot_be_trained_are_passed_over(tmp_path: Path) -> None:
    space = {"model.tune": Choices(values=("head", "all")), "augment.views": Choices(values=(0, 2))}
    spec = make_spec(build_config({"augment.shift": 0.1, "augment.views": 1}, "quick"), "print", space, sampler="grid")
    study = SharedStudy(_url(tmp_path), "one", spec)
    seen = []
    while (trial := study.ask()) is not None:
        study.end(trial, DONE_TRIAL, DONE, value=0.5)
        seen.append((trial.params["model.tune"], trial.params["augment.views"]))
    assert sorted(seen) == [("all", 0), ("head", 2)]  # with views only the head, without only the layers
    assert [row.counts for row in study.rows() if row.state == "pruned"] == [False, False]


def test_importance_finds_the_setting_that_matters(tmp_path: Path) -> None:
    study = SharedStudy(_url(tmp_path), "one", _spec(sampler="random"))
    assert study.importance(study.rows()) == {}
    for _ in range(12):
        trial = study.ask()
        assert trial is not None
        study.end(trial, DONE_TRIAL, DONE, value=1.0 - trial.params["model.dropout"])
    shares = study.importance(study.rows())
    assert sum(shares.values()) == pytest.approx(1) and shares["model.dropout"] > 0.7


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(DarkroomError) as caught:
        SharedStudy("postgresql+psycopg://me:secret@127.0.0.1:1/none", "one", _spec())
    assert "127.0.0.1" in str(caught.value) and "secret" not in str(caught.value)
