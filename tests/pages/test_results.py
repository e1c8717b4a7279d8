"""Evaluate shows the report and the images behind it; Classify answers for every file it is given."""

from __future__ import annotations

import shutil
from io import BytesIO

import pytest
from PIL import Image

from core.evaluation.predictions import cell, read_predictions
from core.runs.store import open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, has_component, texts


def test_without_a_run_both_pages_lead_to_training(workspace: Workspace, open_page: OpenPage) -> None:
    for page in ("evaluate", "classify"):
        app = open_page(page)
        assert [link.proto.label for link in app.main.get("page_link")] == ["Train a model first"]
        assert "No run has" in texts(app)


def test_the_headline_and_its_figures(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    app = open_page("evaluate")
    assert report["headline"] in texts(app)
    assert {metric.label: metric.value for metric in app.metric}["Test images"] == str(report["num_test"])


def test_the_confusion_matrix_counts_every_test_image(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    drawn = component(open_page("evaluate"), "darkroom_confusion_grid")
    assert [[int(cell["text"]) for cell in row] for row in drawn["cells"]] == report["confusion"]
    right = report["confusion"][0][0]
    assert drawn["cells"][0][0]["label"] == f"true cat predicted cat: {right} images"


def test_a_cell_shows_its_images(with_run: Trained, open_page: OpenPage) -> None:
    predictions = read_predictions(with_run.run.folder)
    assert predictions is not None
    app = open_page("evaluate", true="dog", predicted="dog")
    tiles = component(app, "darkroom_gallery")["tiles"]
    assert [tile["alt"].partition(": ")[2] for tile in tiles] == cell(predictions, "dog", "dog")["path"].tolist()
    assert all(tile["note"].startswith("predicted dog, ") and not tile["wrong"] for tile in tiles)
    assert [tile["id"] for tile in tiles] == cell(predictions, "dog", "dog")["path"].tolist()
    app.selectbox(key="predicted-linked").set_value(None).run()
    assert not app.exception and not has_component(app, "darkroom_gallery")


def test_every_view_is_drawn(with_run: Trained, open_page: OpenPage) -> None:
    table = open_page("evaluate", view="Classes").dataframe[0].value
    report = with_run.run.report()
    assert report is not None and table["label"].tolist() == report["classes"]
    assert table["precision"].tolist() == pytest.approx([100 * row["precision"] for row in report["per_class"]])
    assert "test images" in texts(open_page("evaluate", view="Mistakes")) or report["test_errors"] == 0
    assert len(open_page("evaluate", view="Training curves").get("plotly_chart")) == 2


def test_every_upload_gets_an_answer_or_a_reason(with_run: Trained, open_page: OpenPage) -> None:
    photo = sorted((with_run.images / "fox").iterdir())[0].read_bytes()
    deep = BytesIO()
    Image.new("I;16", (20, 30), 40_000).save(deep, "PNG")
    app = open_page("classify", run=with_run.run.id)
    files = [("a](b) <i>.png", photo, "image/png"), ("deep.png", deep.getvalue(), "image/png")]
    app.file_uploader(key="uploads").set_value(
        [*files, ("note.png", b"hello", "image/png"), ("zero.jpg", b"", "image/jpeg")]
    )
    app.run()
    assert not app.exception
    assert "2 images classified, 2 files not" in texts(app)
    by_name = {answer["name"]: answer for answer in component(app, "darkroom_answers")}
    assert by_name["note.png"]["error"] and by_name["zero.jpg"]["error"] == "The file is empty."
    ranked = by_name["a](b) <i>.png"]["rows"]
    assert len(ranked) == 3 and [row[2] for row in ranked] == sorted((row[2] for row in ranked), reverse=True)
    assert by_name["deep.png"]["preview"].startswith("data:image/png;base64,")

    app.switch_page("../train.py").run()
    app.switch_page("../classify.py").run()
    assert "2 images classified, 2 files not" in texts(app), "answers do not outlive a change of page"


def test_a_model_without_onnx_says_how_to_classify_with_it(
    with_run: Trained, open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=shutil.ignore_patterns("*.tmp"), dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    run = open_run(workspace, with_run.run.id)
    (run.bundle / "model.onnx").unlink()
    app = open_page("classify", run=run.id)
    assert "This model has no ONNX graph" in texts(app)
    assert app.code[0].value == f"python -m core predict {run.id} IMAGE --engine torch"
