"""Evaluate's views for handing a model over and for other data."""

from __future__ import annotations

import shutil

import pytest

from core import jobs
from core.evaluation.on_dataset import main as evaluate_there
from core.evaluation.on_dataset import on_dataset_job
from core.evaluation.side_jobs import SideJob
from core.files import write_json
from core.handover.engines import SPEED
from core.handover.engines import main as time_engines
from core.handover.job import REPORT
from core.handover.job import main as make_report
from core.inference.bundle import note_trust
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, texts

LABELS = {"1": "cat", "7": "fox"}


@pytest.fixture
def run(with_run: Trained, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run of this test's own."""
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=ignored, dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    return open_run(workspace, with_run.run.id)


def asked(job: SideJob, run: Run, **request: object) -> None:
    """As `SideJob.ask` leaves it for the program."""
    job.folder(run).mkdir(parents=True)
    write_json(job.folder(run) / "request.json", request)
    jobs.prepare(job.folder(run))


def test_the_report_is_offered_made_and_known_to_be_old(run: Run, open_page: OpenPage) -> None:
    app = open_page("evaluate", run=run.id, view="Hand it over")
    labels = [one.label for one in app.button]
    assert "Make the report" in labels and "Measure the speed" in labels and not app.get("download_button")
    asked(SPEED, run, seconds=0)
    asked(REPORT, run)
    assert time_engines(run.folder) == 0 and make_report(run.folder) == 0
    app = open_page("evaluate", run=run.id, view="Hand it over")
    downloads = [one.label for one in app.get("download_button")]
    assert [label.partition(",")[0] for label in downloads] == ["Report (HTML)", "Everything (JSON)", "Figures (CSV)"]
    assert "nothing it tells has changed since" in texts(app) and "is the fastest" in texts(app)
    table = next(frame.value for frame in app.dataframe if "p95" in frame.value)
    assert table["title"].tolist() == ["PyTorch", "ONNX Runtime"] and (table["p50"] > 0).all()
    note_trust(run.bundle, abstention_threshold=0.4)
    app = open_page("evaluate", run=run.id, view="Hand it over")
    assert any("has changed since" in warning.value for warning in app.warning)


def test_labels_are_matched_and_what_was_found_elsewhere_is_shown(run: Run, open_page: OpenPage) -> None:
    app = open_page("evaluate", run=run.id, view="Other data")
    app.selectbox(f"other-data-{run.id}").select("digits").run()
    assert not app.exception
    assert "10 labels without a class of that name" in [one.label for one in app.expander][-1]
    assert "Evaluate on Digits" in [one.label for one in app.button]
    asked(on_dataset_job("digits"), run, mapping=LABELS, most=12)
    assert evaluate_there(run.folder, "digits") == 0
    app = open_page("evaluate", run=run.id, view="Other data")
    app.selectbox(f"other-data-{run.id}").select("digits").run()
    assert not app.exception
    said = texts(app)
    assert "On Digits" in said and "12 images are classified correctly" in said and "1 as cat, 7 as fox" in said
    overview = next(frame.value for frame in app.dataframe if "balanced" in frame.value)
    assert overview["name"].tolist() == ["its own test images", "Digits"] and overview["images"].iloc[1] == 12
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert tiles and all(tile["wrong"] and tile["src"].startswith("/thumb/") for tile in tiles)
