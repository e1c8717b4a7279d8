"""Train's plan says what the settings amount to and takes advice into the form; a run's page says what it kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.config import PRESETS, TrainConfig, build_config
from core.data.datasets import Dataset, index_path
from core.data.splits import divide
from core.files import write_json
from core.runs.lr_search import LR_SEARCH, LrCurve
from core.runs.preflight import PREFLIGHT, Forecast
from core.runs.previews import PREVIEWS
from core.runs.store import EVENTS, FIRST_BATCH, FIRST_LABELS, LOADED, Run, create_run
from core.runs.trials import RESULT, trial_folder
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, texts

FORECAST = Forecast(
    seconds=134.0,
    phases={"reading": 4.0, "training": 130.0},
    images_per_s=812.0,
    loader_images_per_s=5200.0,
    compute_images_per_s=960.0,
    bound="compute",
    peak_memory_mb=1800.0,
    free_memory_mb=6100.0,
    disk_mb=52.0,
    free_disk_mb=90000.0,
    batch_size=8,
    accumulate=4,
    device="cpu",
    refusals=[],
    advice=["A larger batch would be faster."],
)
CURVE = LrCurve([1e-4, 1e-3, 1e-2], [2.3, 1.1, 4.0], 2e-3, 1e-2, "The loss falls fastest at about 2e-03.")


@pytest.fixture
def photos(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """Uneven classes of images that are not square: 24 x 18 pixels."""
    return index_path(workspace, image_folder(counts={"cat": 60, "dog": 12}))


def test_a_forecast_is_shown_for_the_settings_it_is_of(
    workspace: Workspace, photos: Dataset, open_page: OpenPage
) -> None:
    _answered(workspace, PREFLIGHT.name, _planned(photos), asdict(FORECAST))
    app = open_page("train", dataset=photos.id)
    figures = {one.label: one.value for one in app.metric}
    assert figures == {"Total time": "2 min 14 s", "Images a second": "812", "Memory": "1.8 GB", "Disk": "52 MB"}
    assert "5,200 images/s could be loaded, 960 learned from" in texts(app)
    assert "A larger batch would be faster." in texts(app) and "A batch of 32 does not fit" in texts(app)
    _button(app, "Use the batch that fits").click().run()
    assert _value(app, "optim.batch_size") == 8 and _value(app, "optim.accumulate") == 4
    assert not app.metric and _button(app, "Try a few steps")  # of other settings nothing is known


def test_a_refusal_and_a_failure_are_said(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    refused = asdict(FORECAST) | {"refusals": ["It needs 30 GB of memory where 6.1 GB are free."], "batch_size": 32}
    folder = _answered(workspace, PREFLIGHT.name, _planned(photos), refused | {"accumulate": 1})
    app = open_page("train", dataset=photos.id)
    assert "It needs 30 GB of memory" in app.main.error[0].value.replace("\\", "")
    write_json(folder / jobs.STATUS, asdict(jobs.Status("failed", "The disk is full.")))
    app.run()
    assert "The disk is full." in texts(app) and _button(app, "Try again") and not app.exception


def test_a_found_learning_rate_is_taken_into_the_form(
    workspace: Workspace, photos: Dataset, open_page: OpenPage
) -> None:
    _answered(workspace, LR_SEARCH.name, LR_SEARCH.asked(_planned(photos)), asdict(CURVE))
    app = open_page("train", dataset=photos.id, plan="Learning rate")
    assert "The loss falls fastest at about 2e-03." in texts(app) and len(app.get("plotly_chart")) == 2
    _button(app, "Use 0.002").click().run()
    assert _value(app, "optim.learning_rate") == 2e-3 and "At most **0.002**" in texts(app)
    assert _button(app, "Used 0.002").disabled  # the search is of the same settings still


def test_a_schedule_that_depends_on_the_run_says_so(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    app = open_page("train", dataset=photos.id, plan="Learning rate")
    _select(app, "schedule.kind", "plateau")
    assert "depends on the run" in texts(app) and len(app.get("plotly_chart")) == 1


def test_resizing_is_told_on_the_images_themselves(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    app = open_page("train", dataset=photos.id, plan="What the network sees")
    assert "shapes are stretched 1.33 times on average" in texts(app)
    _select(app, "preprocess.resize", "crop")
    assert "crop discards 25.0 % of the pixels, and keeps the shape" in texts(app)
    assert "100.0 % of the images are smaller than 128 pixels" in texts(app)
    assert "24 x 18 pixels" in texts(app)


def test_changes_are_drawn_on_the_images_themselves(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    app = open_page("train", dataset=photos.id, plan="What the network sees")
    assert "No change is switched on" in texts(app) and "Views to at least 1" in texts(app)
    _select(app, "model.tune", "all")
    app.number_input(key="knob-augment.rotate_degrees").set_value(20.0).run()
    assert "Switched on: Rotate degrees 20." in texts(app) and _button(app, "Draw them on my images")
    config = build_config(
        {"data.dataset": photos.id, "model.tune": "all", "augment.rotate_degrees": 20.0}, next(iter(PRESETS))
    )
    folder = _answered(
        workspace,
        PREVIEWS.name,
        PREVIEWS.asked(config),
        {"pictures": [{"change": "augment.rotate_degrees", "file": "rotated.png"}]},
    )
    Image.new("RGB", (64, 32)).save(folder / "rotated.png")
    app.run()
    assert "**Rotate degrees 20**" in texts(app) and _button(app, "Draw again") and not app.exception
    app.number_input(key="knob-optim.epochs").set_value(3).run()
    assert _button(app, "Draw again")  # no picture depends on that


def test_uneven_classes_are_advised_on_and_corrected(
    workspace: Workspace, photos: Dataset, open_page: OpenPage
) -> None:
    app = open_page("train", dataset=photos.id)
    assert "uneven enough to call for a correction" in texts(app)
    app = open_page("train", dataset=photos.id, plan="Classes")
    assert "**5.25 times** as many training images" in texts(app) and "dog has 8 images, 16.0 % of all" in texts(app)
    _button(app, "Use class weights").click().run()
    assert _value(app, "optim.class_weights") == "balanced" and "makes up for it" in texts(app)
    assert "uneven enough" not in texts(app) and not app.exception


def test_what_a_run_kept_is_shown(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    run = _run(workspace, photos, jobs.Status("running", extra={"batch_size": 8, "accumulate": 4}))
    Image.new("RGB", (64, 32)).save(run.folder / FIRST_BATCH)
    write_json(run.folder / FIRST_LABELS, {"labels": ["cat", "dog"]})
    loaded = {"source": "run x", "matched": 240, "missing": ["head.weight"], "unexpected": [], "mismatched": []}
    write_json(run.folder / LOADED, loaded)
    (run.folder / EVENTS).mkdir()
    app = open_page("train", run=run.id)
    assert {"First batch", "Starting weights", "TensorBoard", "Log"} <= {one.label for one in app.main.expander}
    assert "240 tensors of the network start from run x; 1 not in it, so they start anew." in texts(app)
    code = [one.value for one in app.code]
    assert "head.weight" in code and f"tensorboard --logdir {run.folder / EVENTS}" in code
    assert "Memory ran out with batches of 32. It learns from batches of 8, 4 to a step" in texts(app)


def test_a_diverged_run_leads_to_a_better_plan(workspace: Workspace, photos: Dataset, open_page: OpenPage) -> None:
    failed = jobs.Status("failed", "Lower optim.learning_rate.", extra={"error": "Diverged"})
    run = _run(workspace, photos, failed, {"optim.learning_rate": 5.0, "optim.epochs": 7})
    app = open_page("train", run=run.id)
    assert "Lower optim.learning_rate." in texts(app)
    assert "Resume" not in [button.label for button in app.button]  # it would go on to the same end
    _button(app, "Plan it again with optim.learning_rate = 0.5").click().run()
    assert not app.exception and address(app, "view") == "Plan"
    assert _value(app, "optim.learning_rate") == 0.5 and _value(app, "optim.epochs") == 7
    assert "Planned: tf_efficientnet_lite0 on photos" in texts(app)


def _planned(dataset: Dataset) -> TrainConfig:
    """What the form makes at first."""
    return build_config({"data.dataset": dataset.id}, next(iter(PRESETS)))


def _answered(workspace: Workspace, kind: str, asked: TrainConfig, answer: dict[str, Any]) -> Path:
    """A trial as its helper would have left it."""
    folder = trial_folder(workspace, kind, asked, divide(workspace, asked))
    folder.mkdir(parents=True)
    write_json(folder / jobs.STATUS, asdict(jobs.Status("finished")))
    write_json(folder / RESULT, answer)
    return folder


def _run(workspace: Workspace, dataset: Dataset, status: jobs.Status, settings: dict[str, Any] | None = None) -> Run:
    config = build_config({"data.dataset": dataset.id, **(settings or {})}, "quick")
    run = create_run(workspace, config, dataset.manifest())
    write_json(run.folder / jobs.STATUS, asdict(status))
    return run


def _select(app: AppTest, path: str, value: str) -> None:
    app.selectbox(key=f"knob-{path}").set_value(value).run()
    assert not app.exception


def _value(app: AppTest, path: str) -> Any:
    return app.session_state[f"knob-{path}"]


def _button(app: AppTest, label: str) -> Any:
    return next(button for button in app.button if button.label.replace("\\", "") == label)
