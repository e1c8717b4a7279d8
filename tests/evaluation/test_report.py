"""The report, from a hand-counted table of predictions to plain JSON."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from core.evaluation.report import build_report

CLASSES = ["cat", "dog", "owl"]


def predictions(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """(split, label, predicted) -> a table as `predict_manifest` gives it, as far as the report reads it."""
    frame = pd.DataFrame(rows, columns=["split", "label", "predicted"])
    return frame.assign(path=[f"{i}.png" for i in range(len(rows))], confidence=0.9, loss=0.25)


@pytest.fixture
def table() -> pd.DataFrame:
    right = [("test", "dog", "dog")] * 5 + [("test", "cat", "cat")] * 3
    wrong = [("test", "cat", "dog"), ("test", "dog", "cat")]
    return predictions([*right, *wrong, ("val", "cat", "cat"), ("val", "dog", "cat")])


def test_figures_by_hand(table: pd.DataFrame) -> None:
    report = build_report(table, CLASSES, [("bad.png", "The file is empty.")])
    assert (report["num_test"], report["num_val"], report["test_errors"]) == (10, 2, 2)
    assert (report["test_accuracy"], report["val_accuracy"]) == (0.8, 0.5)
    assert report["test_accuracy_interval"] == pytest.approx([0.4902, 0.9433], abs=5e-5)
    assert (report["majority_class"], report["majority_baseline"]) == ("dog", 0.6)
    assert report["confusion"] == [[3, 1, 0], [1, 5, 0], [0, 0, 0]]
    assert report["macro_f1"] == pytest.approx((3 / 4 + 5 / 6) / 2)  # owl has no test image
    owl = report["per_class"][2]
    assert [owl[name] for name in ("label", "precision", "recall", "f1", "support", "answers", "hits")] == [
        "owl",
        *[0] * 6,
    ]
    assert [owl[f"{name}_{end}"] for name in ("precision", "recall", "f1") for end in ("low", "high")] == [None] * 6
    accuracy = report["metrics"]["accuracy"]
    assert [accuracy["low"], accuracy["high"]] == pytest.approx(report["test_accuracy_interval"])
    assert (accuracy["value"], accuracy["majority"], accuracy["chance"]) == (0.8, 0.6, pytest.approx(1 / 3))
    assert report["metrics"]["macro_f1"]["value"] == pytest.approx(report["macro_f1"])
    assert report["metrics"]["log_loss"]["value"] == report["test_loss"]
    assert "brier" not in report["metrics"]  # the table holds no probabilities
    assert report["classes"] == CLASSES
    assert report["skipped"] == [{"path": "bad.png", "error": "The file is empty."}]
    assert (report["test_loss"], report["val_loss"]) == (0.25, 0.25)


def test_headline_names_accuracy_interval_and_baseline(table: pd.DataFrame) -> None:
    assert build_report(table, CLASSES, [])["headline"] == (
        "80.0 % (49.0-94.3) of 10 test images are classified correctly; always answering 'dog' would get 60.0 %."
    )


def test_headline_of_a_single_image_is_grammatical() -> None:
    headline = build_report(predictions([("test", "cat", "cat")]), CLASSES, [])["headline"]
    assert headline.startswith("100.0 % (20.7-100.0) of 1 test image is classified correctly;")


@pytest.mark.parametrize("rows", [[], [("val", "cat", "cat")], [("test", "cat", "dog")]])
def test_report_is_plain_json_even_with_nothing_to_measure(rows: list[tuple[str, str, str]]) -> None:
    report = build_report(predictions(rows), CLASSES, [])
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_without_test_images_there_is_no_accuracy_and_no_invented_one() -> None:
    report = build_report(predictions([("val", "cat", "cat")]), CLASSES, [])
    assert [report[name] for name in ("test_accuracy", "test_accuracy_interval", "macro_f1")] == [None] * 3
    assert report["metrics"] == {}
    assert (report["majority_class"], report["majority_baseline"]) == (None, None)
    assert report["val_accuracy"] == 1.0
    assert "no test accuracy" in report["headline"]
