"""Evaluate shows the report and the images behind it; Classify answers for every file it is given."""

from __future__ import annotations

import shutil
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.evaluation import made_up_run
from core.evaluation.calibration import rescaled
from core.evaluation.evaluate import write_report
from core.evaluation.predictions import PREDICTIONS, cell, read_predictions, read_probabilities
from core.files import write_json
from core.inference.bundle import read_bundle
from core.runs.store import REPORT, open_run
from core.wording import interval, percent, percent_interval, significant
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
    drawn = component(open_page("evaluate", view="Confusion"), "darkroom_confusion_grid")
    assert [[int(cell["text"]) for cell in row] for row in drawn["cells"]] == report["confusion"]
    right = report["confusion"][0][0]
    assert drawn["cells"][0][0]["label"] == f"true cat predicted cat: {right} images"


def test_a_cell_shows_its_images(with_run: Trained, open_page: OpenPage) -> None:
    predictions = read_predictions(with_run.run.folder)
    assert predictions is not None
    app = open_page("evaluate", view="Confusion", true="dog", predicted="dog")
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
    assert table["f1_interval"].tolist()[0] == interval(
        report["per_class"][0]["f1_low"], report["per_class"][0]["f1_high"]
    )
    assert "test images" in texts(open_page("evaluate", view="Mistakes")) or report["test_errors"] == 0
    assert len(open_page("evaluate", view="Training curves").get("plotly_chart")) == 2


def test_every_figure_stands_beside_its_interval_and_baselines(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    app = open_page("evaluate")
    table = app.dataframe[0].value.set_index("title")
    accuracy, loss = report["metrics"]["accuracy"], report["metrics"]["log_loss"]
    assert table.loc["Accuracy", "shown"] == percent_interval(accuracy["value"], accuracy["low"], accuracy["high"])
    assert table.loc["Accuracy", "shown_majority"] == percent(report["majority_baseline"])
    assert table.loc["Log-loss", "shown"].startswith(f"{significant(loss['value'])} (")
    assert table.loc["Log-loss", "shown_chance"] == significant(np.log(3)) and len(table) == len(report["metrics"])
    assert len(app.get("plotly_chart")) == 1


def test_curves_are_offered_class_by_class(with_run: Trained, open_page: OpenPage) -> None:
    report = with_run.run.report()
    assert report is not None
    app = open_page("evaluate", view="ROC and precision")
    assert len(app.get("plotly_chart")) == 1
    areas = app.dataframe[0].value.set_index("label")["auc"]
    assert areas.to_dict() == pytest.approx({row["label"]: 100 * row["auc"] for row in report["per_class"]})
    assert app.multiselect[0].value == areas.index.tolist()
    app.multiselect[0].set_value([]).run()
    assert not app.exception and not app.get("plotly_chart")


def test_two_classes_get_a_threshold_and_its_costs(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_up_run(workspace, 2, 200, 100)
    write_report(run, pd.read_parquet(run.folder / PREDICTIONS), [])
    app = open_page("evaluate", run=run.id, view="Threshold")
    read = read_probabilities(run.folder, "test")
    assert read is not None
    rows, scores = read[0], rescaled(read[1], read_bundle(run.bundle).temperature)[:, 1]
    truth = (rows["label"] == "class 001").to_numpy()
    missed, alarms = int((truth & (scores < 0.5)).sum()), int((~truth & (scores >= 0.5)).sum())
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Missed class 001"].startswith(f"{missed} of {truth.sum()}: ")
    assert shown["class 000 taken for class 001"].startswith(f"{alarms} of {(~truth).sum()}: ")
    assert shown["Cost of 100 images"] == significant((missed + alarms) / 2)
    app.number_input(key="cost-missed").set_value(20.0).run()
    assert {metric.label: metric.value for metric in app.metric}["Cost of 100 images"] == significant(
        (20 * missed + alarms) / 2
    )
    app.button[-1].click().run()
    assert app.slider(key="two-class-threshold").value < 50, "what is dear to miss is answered sooner"


def test_many_classes_are_searched_and_zoomed(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_up_run(workspace, 80, 2000)
    report = write_report(run, pd.read_parquet(run.folder / PREDICTIONS), [])
    app = open_page("evaluate", run=run.id, view="Confusion")
    assert len(app.get("plotly_chart")) == 1 and not has_component(app, "darkroom_confusion_grid")
    pairs = app.dataframe[0].value
    counts = np.array(report["confusion"])
    np.fill_diagonal(counts, 0)
    assert pairs["images"].iloc[0] == counts.max() and len(pairs) == 20
    app.selectbox(key="class-linked").set_value("class 079").run()
    drawn = component(app, "darkroom_confusion_grid")
    mixed = counts[79] + counts[:, 79]
    around = [report["classes"].index(name) for name in drawn["classes"]]
    assert around[0] == 79 and mixed[around[1]] == mixed.max() and len(around) <= 13
    assert drawn["cells"][0][1]["text"] == str(counts[79, around[1]])
    open_page("evaluate", run=run.id, view="Classes")


def test_an_old_report_says_how_to_renew_it(workspace: Workspace, open_page: OpenPage) -> None:
    run = made_up_run(workspace, 3, 60, 30)
    report = write_report(run, pd.read_parquet(run.folder / PREDICTIONS), [])
    rows = [
        {name: row[name] for name in ("label", "precision", "recall", "f1", "support")} for row in report["per_class"]
    ]
    old = {name: value for name, value in report.items() if name != "metrics"} | {"per_class": rows}
    write_json(run.folder / REPORT, old)
    for view in ("Numbers", "ROC and precision"):
        app = open_page("evaluate", run=run.id, view=view)
        assert app.code[0].value == f"python -m core evaluate {run.id}"
    assert open_page("evaluate", run=run.id, view="Classes").dataframe[0].value["label"].tolist() == report["classes"]


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
    ranked = by_name["a](b) <i>.png"]["verdicts"][0]["rows"]
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
