"""Evaluate's views of where a model is worse, on spoiled images, and of where it looks."""

from __future__ import annotations

import shutil

import pytest

from core import jobs
from core.evaluation.explained import PICTURES, SALIENCY, read_explanation
from core.evaluation.predictions import write_predictions
from core.evaluation.robustness import ROBUSTNESS
from core.evaluation.robustness import main as spoil_images
from core.evaluation.saliency_job import main as make_maps
from core.evaluation.side_jobs import SideJob
from core.evaluation.slices import compare, joined
from core.files import write_json
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, has_component, texts


def asked(job: SideJob, run: Run, **request: object) -> None:
    """As `SideJob.ask` leaves it for the program."""
    folder = job.folder(run)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", request)
    jobs.prepare(folder)


def test_the_parts_of_the_test_images_are_those_of_the_report(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    app = open_page("evaluate", view="Where it is worse")
    assert report["slices"]["sentence"] in texts(app)
    assert "cannot be divided" in texts(app), "fifteen test images"


def test_without_an_answer_each_look_offers_to_start(with_run: Trained, open_page: OpenPage) -> None:
    for view, button in (("Spoiled images", "Test it"), ("Where it looks", "Make maps")):
        app = open_page("evaluate", view=view)
        assert button in [one.label for one in app.button]
        assert not has_component(app, "darkroom_gallery")


def test_what_the_jobs_found_is_shown(
    with_run: Trained, open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=ignored, dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    run = open_run(workspace, with_run.run.id)
    asked(ROBUSTNESS, run, images=9)
    asked(SALIENCY, run, images=4, which="Any")
    assert spoil_images(run.folder) == 0 and make_maps(run.folder) == 0

    found = ROBUSTNESS.answer(run)
    app = open_page("evaluate", run=run.id, view="Spoiled images")
    assert found is not None and found["sentence"] in texts(app)
    assert len(app.get("plotly_chart")) == 1 and "Test it again" in [one.label for one in app.button]

    maps = read_explanation(run)
    assert maps is not None and len(maps.images) == 4
    assert sorted(path.name for path in (run.folder / PICTURES).iterdir()) == [one.picture for one in maps.images]
    app = open_page("evaluate", run=run.id, view="Where it looks")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert [tile["id"] for tile in tiles] == [one.path for one in maps.images]
    assert [bool(tile["mark"]) for tile in tiles] == [bool(maps.fault or one.fault) for one in maps.images]
    assert all(tile["src"].startswith("data:image/jpeg;base64,/9j/") for tile in tiles)
    assert (maps.fault or f"{maps.passed()} of 4 maps can be believed") in texts(app)


def test_parts_of_a_run_of_an_earlier_darkroom_and_the_images_of_one(
    with_run: Trained, open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=shutil.ignore_patterns("*.tmp"), dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    run = open_run(workspace, with_run.run.id)
    report, manifest = run.report(), run.manifest()
    assert report is not None
    del report["slices"]  # as it was before parts were compared
    write_json(run.folder / "report.json", report)
    dark = manifest["brightness"] <= manifest["brightness"].quantile(0.25)
    answers = manifest[["path", "label"]].assign(split="test", confidence=0.9, loss=0.1)
    answers["predicted"] = manifest["label"].where(~dark, "fox")
    write_predictions(run.folder, answers)
    found = compare(joined(answers, manifest))
    worst = found["rows"][0]
    assert worst["by"] == "brightness" and worst["conspicuous"]

    part = f"{worst['by']}: {worst['value']}"
    app = open_page("evaluate", run=run.id, view="Where it is worse", part=part)
    assert found["sentence"] in texts(app) and len(app.get("plotly_chart")) == 1
    tiles = component(app, "darkroom_gallery")["tiles"]
    num_wrong = worst["images"] - worst["right"]
    assert [tile["wrong"] for tile in tiles] == [True] * num_wrong + [False] * worst["right"]
