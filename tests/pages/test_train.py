"""Train's form is the config's own fields; what it starts is shown truthfully."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.config import PRESETS, build_config, flatten, knobs
from core.data.datasets import index_path, open_dataset
from core.files import write_json
from core.runs.model_size import model_size
from core.runs.store import Run, create_run, list_runs
from core.workspace import Workspace
from pages._components.config_form import MAIN, preset_values
from pages._components.train import start_bar
from tests.conftest import ImageFolder, Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, texts
from tests.waiting import wait_until

# Choices that between them leave no setting without effect.
CHOICES: tuple[dict[str, object], ...] = (
    {"split.group_by": "pattern", "model.weights": "file", "model.tune": "last", "optim.loss": "focal"},
    {"model.weights": "random", "model.tune": "gradual", "schedule.kind": "step", "optim.optimizer": "sgd"},
    {"schedule.kind": "multistep", "augment.views": 2, "augment.policy": "randaugment"},
    {"schedule.kind": "plateau", "model.tune": "all", "model.prune": 0.5},
)


def test_every_knob_has_a_field_with_its_help_and_bounds(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    drawn = set[str]()
    for choices in ({}, *CHOICES):
        for path, value in (preset_values("transfer") | choices).items():
            app.session_state[f"knob-{path}"] = value
        app.run()
        assert not app.exception
        for knob in knobs():
            if knob.group == "data":
                continue
            found = _fields(app, knob.path)
            if not found:
                named = f"{knob.label}:" in _idle(app) or f"{knob.label}, " in _idle(app)
                assert named or knob.path == "model.weights_from", knob.path  # below the choice that calls for it
                continue
            (field,) = found
            assert field.help.startswith(knob.help) and field.label in (knob.label, "Weights from file")
            drawn.add(knob.path)
            if knob.choices:
                assert tuple(field.options) == knob.choices
            elif knob.kind not in (bool, str):
                assert (field.min, field.max) == (knob.low, knob.high)
    assert drawn == {knob.path for knob in knobs() if knob.group != "data"}


def test_what_is_changed_first_stands_before_the_groups(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    keys = [one.key for one in (*app.sidebar.selectbox, *app.sidebar.number_input)]
    groups = [one.label for one in app.sidebar.expander]
    assert set(groups) == {
        *("Data", "Split", "Preprocessing", "Model", "Augmentation", "Optimisation"),
        *("Learning-rate schedule", "Early stopping", "Runtime"),
    }
    inside = {field.key for group in app.sidebar.expander for field in (*group.selectbox, *group.number_input)}
    assert {key for key in keys if key.startswith("knob-")} - inside == {
        f"knob-{path}" for path in MAIN if path != "model.weights_from"
    }


def test_a_hidden_setting_keeps_its_value_but_does_not_contradict(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    _field(app, "split.group_by").set_value("pattern").run()
    _field(app, "split.group_pattern").set_value("([0-9]+)").run()
    _field(app, "split.group_by").set_value("none").run()
    assert not _fields(app, "split.group_pattern") and not _button(app, "Start").disabled
    assert "Group pattern: only with Group by = pattern" in texts(app)
    _field(app, "split.group_by").set_value("pattern").run()
    assert _field(app, "split.group_pattern").value == "([0-9]+)"


def test_an_unknown_network_is_refused_in_words(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("overview")
    app.session_state["knob-model.architecture"] = "resnet19"  # the test driver cannot type into a list of options
    app.switch_page("../train.py").run()
    assert "model.architecture = 'resnet19': allowed is one of" in texts(app) and "close to it: resnet1" in texts(app)
    assert _button(app, "Start").disabled and "need a correction" in texts(app)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_every_field(preset: str, workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    _field(app, "optim.epochs").set_value(77).run()
    app.selectbox(key="preset").set_value(preset).run()
    if preset == list(PRESETS)[0]:  # it was chosen already, so nothing changes by choosing it
        assert "optim.epochs 10 \N{RIGHTWARDS ARROW} 77" in texts(app)
        _button(app, "Back to the preset").click().run()
    assert not app.exception
    for path, value in flatten(build_config({}, preset)).items():
        for field in _fields(app, path):
            assert field.value == (value if isinstance(value, str) else pytest.approx(value)), path


def test_settings_that_do_not_go_together_cannot_be_started(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    _field(app, "model.architecture").set_value("small_cnn").run()
    assert "small_cnn has no pretrained weights; use random" in texts(app)
    assert _button(app, "Start").disabled and not app.exception


def test_a_class_that_is_too_small_is_said_before_starting(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(counts={"cat": 8, "dog": 2}))
    app = open_page("train", dataset=dataset.id)
    assert "'dog' has 2" in texts(app) and _button(app, "Start").disabled


@pytest.mark.usefixtures("forked_jobs")
def test_start_launches_a_run_that_stop_ends(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits")
    app.selectbox(key="preset").set_value("from-scratch").run()
    _field(app, "optim.epochs").set_value(500).run()
    assert "1,259 train, 269 val, 269 test images" in texts(app)
    _button(app, "Start").click().run()
    assert not app.exception
    (run,) = list_runs(workspace)
    assert address(app, "run") == run.id
    assert run.config.optim.epochs == 500 and run.config.model.architecture == "small_cnn"
    wait_until(lambda: len(run.metrics()) > 0, "the first epoch")
    _button(app.run(), "Stop").click().run()
    assert not app.exception
    wait_until(lambda: run.status.ended, "the run to stop")
    app = open_page("train", view="Runs")  # another tab, with no word of the run in its address
    assert run.status.state == "stopped" and "It was stopped; the best weights so far are kept" in texts(app)
    assert _button(app, "Resume") and "parameters, " in texts(app)


def test_a_run_whose_process_is_gone_is_lost_and_shows_its_log(workspace: Workspace, open_page: OpenPage) -> None:
    open_page("overview")  # writes Digits out
    run = _run_with_dead_process(workspace)
    app = open_page("train", run=run.id)
    assert "ended without a word" in texts(app) and "lost" in texts(app)
    assert "the last thing it said" in app.code[0].value and _button(app, "Resume")


def test_a_run_with_damaged_settings_does_not_hide_the_others(workspace: Workspace, open_page: OpenPage) -> None:
    open_page("overview")
    run = _run_with_dead_process(workspace)
    (run.folder / "config.json").write_text("{")
    assert "is not readable JSON" in texts(open_page("train", run=run.id))
    assert "1 run" in texts(open_page("overview"))


def test_a_finished_run_leads_on(with_run: Trained, open_page: OpenPage) -> None:
    app = open_page("train", run=with_run.run.id)
    assert "It finished and was evaluated" in texts(app) and len(app.get("plotly_chart")) == 2
    assert {"Evaluate it", "Classify with it"} <= {link.proto.label for link in app.get("page_link")}


def test_weights_come_from_an_earlier_run_or_a_file(with_run: Trained, open_page: OpenPage) -> None:
    app = open_page("train", dataset=with_run.run.config.data.dataset, view="Plan")
    _field(app, "model.weights").set_value("run").run()
    assert _field(app, "model.weights_from").value == with_run.run.id and not _button(app, "Start").disabled
    _field(app, "model.weights").set_value("file").run()
    assert _field(app, "model.weights_from").value == "" and "weights_from is empty" in texts(app)
    _field(app, "model.weights_from").set_value("/nowhere/weights.safetensors").run()
    assert "weights_from is empty" not in texts(app) and not app.exception
    _field(app, "model.weights").set_value("run").run()
    assert _field(app, "model.weights_from").value == with_run.run.id


def _fields(app: AppTest, path: str) -> list[Any]:
    """The field of a setting; none where it has no effect at present."""
    wanted = {f"knob-{path}"} | ({"weights-from-run", "weights-from-file"} if path == "model.weights_from" else set())
    kinds = ("selectbox", "toggle", "number_input", "text_input")
    return [one for kind in kinds for one in app.get(kind) if one.key in wanted]


def _field(app: AppTest, path: str) -> Any:
    (found,) = _fields(app, path)
    return found


def _idle(app: AppTest) -> str:
    return "\n".join(line for line in texts(app).split("\n") if line.startswith("Without effect now."))


def _button(app: AppTest, label: str) -> object:
    return next(button for button in app.button if button.label == label)


def _run_with_dead_process(workspace: Workspace) -> Run:
    config = build_config({"data.dataset": "digits"}, "quick")
    run = create_run(workspace, config, open_dataset(workspace, "digits").manifest())
    write_json(run.folder / jobs.PROCESS, {"pid": _unused_pid(), "start_time": 1.0})
    (run.folder / jobs.LOG).write_text("the last thing it said\n")
    return run


def _unused_pid() -> int:
    return next(
        pid for pid in range(2**22 - 1, 0, -1) if not psutil.pid_exists(pid) and not Path(f"/proc/{pid}").exists()
    )


def test_weights_that_training_would_have_to_download_are_said_before(
    workspace: Workspace, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    monkeypatch.setattr(start_bar, "model_size", model_size)  # the real one
    app = open_page("train", dataset="digits")
    _field(app, "model.architecture").set_value("resnet18").run()
    wait_until(lambda: "Counting parameters" not in texts(app.run()), "the parameters to be counted")
    assert not app.exception and "parameters, " in texts(app)
    assert "resnet18's pretrained weights are not on this machine" in texts(app)
