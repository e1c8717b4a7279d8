"""What a trained model gives: its evaluation, and answers to uploads and to the camera."""

from __future__ import annotations

import re
from pathlib import Path

from core.evaluation.predictions import read_predictions
from core.runs.store import Run
from tests.browser.conftest import Visit
from tests.browser.dashboard import Locator, Server, Visitor, expect


def test_evaluate_and_open_a_confusion_cell(server: Server, digits_run: Run, visit: Visit) -> None:
    report = digits_run.report()
    assert report is not None
    visitor = visit(server)
    visitor.open("evaluate", run=digits_run.id, view="Confusion")
    visitor.sees(report["headline"])
    expect(visitor.figure("Test images")).to_have_text(f"{report['num_test']}")
    cells = [(count, i, j) for i, row in enumerate(report["confusion"]) for j, count in enumerate(row) if i != j]
    count, true, predicted = max(cells)
    assert count > 0, "not one mistake to click on: train digits_run for fewer epochs"
    visitor.tab.get_by_role("button", name=re.compile(f"^true {true} predicted {predicted}:")).click()
    visitor.sees(f"True {true}, predicted {predicted}: {count} image")
    expect(visitor.gallery("cell-gallery")).to_have_count(count)
    visitor.photograph("evaluate-cell")
    visitor.opens(visitor.gallery("cell-gallery").first)
    visitor.sees("Hash of its bytes")
    visitor.press("Back")
    visitor.arrives("evaluate")
    expect(visitor.gallery("cell-gallery")).to_have_count(count)
    for view in ("Numbers", "Classes", "ROC and precision", "Mistakes", "Training curves"):
        visitor.pick(view)
        visitor.finds_no_fault()
        visitor.photograph(f"evaluate-{view.split()[0].lower()}")


def test_upload_images_and_read_their_classes(server: Server, digits_run: Run, visit: Visit, tmp_path: Path) -> None:
    predictions = read_predictions(digits_run.folder)
    assert predictions is not None
    surest = predictions[predictions["label"] == predictions["predicted"]].nlargest(1, "confidence").iloc[0]
    digit = server.home / "datasets" / "digits" / "images" / surest["path"]
    fake = tmp_path / "letter.png"
    fake.write_text("Dear camera, I am a letter.")
    visitor = visit(server)
    visitor.open("classify", run=digits_run.id)
    visitor.tab.locator('[data-testid="stFileUploader"] input').set_input_files([digit, fake])
    visitor.sees("1 image classified, 1 file not")
    answers = _answers(visitor)
    expect(answers.filter(has_text=digit.name).locator("h4")).to_have_text(re.compile(f"^{surest['label']}, "))
    expect(answers.filter(has_text="letter.png")).to_contain_text("Not classified.")
    visitor.photographs("classify-answers")


def test_take_a_picture_and_get_ranked_classes(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open("classify", run=digits_run.id)
    visitor.pick("Camera")
    visitor.tab.wait_for_function("() => document.querySelector('video')?.readyState === 4")  # the camera has warmed up
    visitor.tab.get_by_role("button", name="Take Photo").click()
    visitor.sees("1 image classified")
    figures = _answers(visitor).locator(".row span:nth-child(2)")
    expect(figures).to_have_count(5)
    shares = [float(text.rstrip(" %")) for text in figures.all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    visitor.photograph("classify-camera")
    visitor.finds_no_fault()


def _answers(visitor: Visitor) -> Locator:
    return visitor.tab.locator(".st-key-answer-cards article")
