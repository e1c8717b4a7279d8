"""Export lists what can be made of a model, what was made, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.exports.exported import export_job, exports_folder
from core.exports.registry import FORMATS
from core.files import read_json, write_json
from core.workspace import Workspace
from tests.conftest import Trained
from tests.exports.conftest import PLAIN, SECONDS, Made, made  # noqa: F401  a fixture
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, has_component, texts
from tests.running import in_process
from tests.waiting import wait_until


@pytest.fixture
def mine(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:  # noqa: F811
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    return made.copied(tmp_path / "home")


def test_without_a_model_it_leads_to_training(workspace: Workspace, open_page: OpenPage) -> None:
    assert [link.proto.label for link in open_page("export").main.get("page_link")] == ["Train a model first"]


def test_every_format_is_listed_with_its_state(mine: Made, open_page: OpenPage) -> None:
    app = open_page("export", run=mine.run.id, format="torchscript")
    table = app.dataframe[0].value.set_index("name")
    names = {FORMATS[key].name for key in PLAIN}
    assert table["state"].to_dict() | dict.fromkeys(names, "ready") == table["state"].to_dict()
    assert len(table) == len(FORMATS) + 1 and table.loc["PyTorch", "state"] == "as trained"
    report = read_json(mine.package("torchscript") / "parity.json")
    assert table.loc["TorchScript", "size_mb"] == report["size_bytes"] / 1e6
    assert table.loc["TorchScript", "agreement"] == 100 and table.loc["TorchScript", "change"] == 0
    assert "answer as the trained model does: ONNX, TorchScript, torch.export" in texts(app)
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Same class as PyTorch"] == "100.0 %" and report["sentence"] in texts(app)
    assert [button.proto.label[:12] for button in app.get("download_button")] == ["Download ZIP"]


def test_a_refused_export_shows_the_figure_and_the_images(mine: Made, open_page: OpenPage) -> None:
    kept = mine.run.folder / "export-onnx.json"
    image = read_json(kept)["worst_image"]
    differing = {
        "path": image,
        "label": "cat",
        "before": "cat",
        "before_confidence": 0.9,
        "after": "dog",
        "after_confidence": 0.6,
        "gap": 0.5,
    }
    reason = "Top-1 agreement is 93.3 %; 100.0 % is needed."
    changes = {"ready": False, "reasons": [reason], "differing": [differing], "same_label": 14}
    write_json(kept, read_json(kept) | changes)
    app = open_page("export", run=mine.run.id)
    assert reason in texts(app) and "Refused: ONNX." in texts(app) and not app.get("download_button")
    (tile,) = component(app, "darkroom_gallery")["tiles"]
    assert tile["id"] == image and tile["wrong"] and tile["note"] == "export dog 60.0 %"
    changed = open_page("export", run=mine.run.id, format="torch-export")
    assert not has_component(changed, "darkroom_gallery") and changed.get("download_button")
    (exports_folder(mine.run) / "torch-export" / "labels.json").write_text("[]")
    later = open_page("export", run=mine.run.id, format="torch-export")
    assert "labels.json was changed since it was checked." in texts(later) and not later.get("download_button")


def test_an_export_is_started_and_cancelled(mine: Made, open_page: OpenPage, forked_jobs: None) -> None:
    app = open_page("export", run=mine.run.id, format="onnx")
    app.button(key="export-onnx").click().run()
    assert app.dataframe[0].value.set_index("name").loc["ONNX", "state"] == "at work"
    app.button(key="export-onnx-cancel").click().run()
    job = export_job("onnx")
    wait_until(lambda: job.progress(mine.run).ended, "the job to end")
    assert job.progress(mine.run).state == "stopped" and job.answer(mine.run)["ready"]
    app = open_page("export", run=mine.run.id, format="onnx")
    assert "It was cancelled" in texts(app) and app.get("download_button")


def test_the_verb_says_what_it_made(trained: Trained, mine: Made, forked_jobs: None) -> None:
    done = in_process("export", mine.run.id, "--format", "onnx", "--seconds", SECONDS)
    assert done.status == 0, done.errors
    assert done.result["ready"] and done.result["agreement"] == 1 and done.result["max_probability_gap"] < 1e-4
    assert Path(done.result["path"]) == mine.package("onnx") and Path(done.result["zip"]).is_file()
    assert done.result["size_bytes"] == (mine.package("onnx") / "model.onnx").stat().st_size
    assert done.result["latency_ms_p50"] > 0
    assert in_process("export", mine.run.id, "--format", "onyx").status == 2
    refused = in_process("export", mine.run.id, "--format", "onnx", "--option", "bits=4")
    assert refused.status == 2 and "has no option bits" in refused.errors
