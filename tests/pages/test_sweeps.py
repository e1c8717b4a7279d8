"""Sweeps draws the question from the settings' own fields, starts what it says, and shows what is in its folder."""

from __future__ import annotations

import pytest

from core.config import build_config
from core.data.datasets import open_dataset
from core.jobs import ENDED
from core.sweeps import launch
from core.sweeps.results import TrialRow
from core.sweeps.space import Choices, Range, searchable
from core.sweeps.spec import make_budget, make_spec
from core.sweeps.store import Sweep, create_sweep, list_sweeps, write_trials
from core.workspace import Workspace
from pages._components.sweeps.figures import VIEWS
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, texts
from tests.sweeps.conftest import MANIFEST
from tests.waiting import wait_until

SPACE = {
    "optim.learning_rate": Range(low=1e-4, high=0.1, log=True),
    "optim.optimizer": Choices(values=("adamw", "sgd")),
}


def _row(number: int, state: str, score: float | None, rate: float, **more: object) -> TrialRow:
    values = {"optim.learning_rate": rate, "optim.optimizer": "sgd" if number % 2 else "adamw"}
    curve = [] if score is None else [[1, score / 2], [2, score]]
    return TrialRow(number, state, values, f"run-{number}", score=score, epoch=2, curve=curve, **more)  # type: ignore[arg-type]


@pytest.fixture
def sweep(workspace: Workspace) -> Sweep:
    """A sweep of five trials that nobody works on any more."""
    spec = make_spec(build_config({}, "quick"), "print", SPACE)
    made = create_sweep(workspace, "first", spec, make_budget(spec, trials=4), MANIFEST, {})
    rows = [
        _row(0, "finished", 0.9, 3e-3, start=True, counts=False),
        _row(1, "finished", 0.8, 1e-4),
        _row(2, "pruned", 0.4, 0.1, reason="Pruned after epoch 2."),
        _row(3, "failed", None, 0.09, reason="It failed."),
        _row(4, "finished", 0.95, 0.01),
    ]
    write_trials(made, rows, {"optim.learning_rate": 0.8, "optim.optimizer": 0.2})
    return made


def test_every_setting_offered_has_its_fields(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("sweeps", dataset="digits")
    assert "Which settings are best?" in texts(app)
    app.sidebar.selectbox(key="sweep-base").set_value("from-scratch").run()
    fields = app.multiselect(key="sweep-fields-from-scratch")
    known = {knob.path: knob for knob in searchable()}
    assert "optim.learning_rate" in fields.value and "augment.views" not in known.keys() & set(fields.options)
    offered = [path for path, knob in known.items() if f"{knob.label} ({knob.group})" in fields.options]
    assert "augment.shift" in offered and "optim.momentum" not in offered  # without effect under adamw
    fields.set_value(offered).run()
    assert not app.exception
    labels = texts(app)
    for path in offered:
        assert f"**{known[path].label}**" in labels, path


def test_what_cannot_be_searched_is_said_and_cannot_be_started(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("sweeps", dataset="digits")
    assert not app.sidebar.button[-1].disabled and app.sidebar.button[-1].label == "Start the sweep"
    app.number_input(key="sweep-quick-optim.learning_rate-high").set_value(1e-9).run()
    assert app.sidebar.button[-1].disabled and "below the highest" in texts(app)


def test_start_asks_what_the_form_says(
    workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "PROGRAM", "tests.waiting")  # a job that waits for its stop
    app = open_page("sweeps", dataset="digits")
    app.sidebar.selectbox(key="sweep-sampler").set_value("random").run()
    app.number_input(key="sweep-quick-optim.learning_rate-high").set_value(0.5).run()
    app.sidebar.number_input(key="sweep-trials").set_value(7).run()
    app.sidebar.text_input[0].set_value("My try").run()
    app.sidebar.button[-1].click().run()
    assert not app.exception
    (sweep,) = list_sweeps(workspace)
    assert (sweep.id, address(app, "sweep"), sweep.budget.trials) == ("my-try", "my-try", 7)
    spec = sweep.spec
    assert spec.sampler == "random" and spec.fingerprint == open_dataset(workspace, "digits").fingerprint
    assert spec.space["optim.learning_rate"] == Range(low=3e-4, high=0.5, log=True)
    assert spec.base["preprocess.image_size"] == 128 and spec.metric == "val_accuracy"
    assert set(sweep.manifest()["split"].dropna()) == {"train", "val", "test"}
    wait_until(lambda: sweep.status.state == "running", "it to be at work")
    app.run()
    assert "The first trial is about to start." in texts(app)
    app.button(key="stop-sweep").click().run()
    wait_until(lambda: sweep.status.state in ENDED, "it to end")
    app.run()
    assert app.button(key="sweep-go-on").label == "Go on"


def test_a_sweep_shows_what_was_found(workspace: Workspace, open_page: OpenPage, sweep: Sweep) -> None:
    app = open_page("sweeps", sweep="first")
    shown = texts(app)
    assert "Trial 4 is best, with validation accuracy 95.0 %. The settings it started from have" in shown
    figures = {one.label: one.value for one in app.metric}
    assert figures["Best validation accuracy (%)"] == "95.0 %" and figures["Of the start"] == "90.0 %"
    for view in VIEWS:
        app.query_params["figure"] = view
        app.run()
        assert not app.exception, view
    assert app.dataframe[0].value["trial"].tolist() == [4, 3, 2, 1, 0]
    assert app.dataframe[0].value["reason"].tolist()[1:3] == ["It failed.", "Pruned after epoch 2."]


def test_a_name_that_is_taken_is_refused(workspace: Workspace, open_page: OpenPage, sweep: Sweep) -> None:
    app = open_page("sweeps", dataset="digits", view="Set up")
    app.sidebar.text_input[0].set_value("First").run()
    assert "There is a sweep first already" in texts(app) and app.sidebar.button[-1].disabled
