"""Parts of the test images against the rest: counts by hand, Fisher and Holm against scipy and worked examples."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact as scipy_fisher

from core.evaluation.slices import compare, fisher_exact, holm, joined, members


def rows_of(num: int, wrong: set[int], **columns: object) -> pd.DataFrame:
    """Test images of one class each half; those of `wrong` are answered with the other class."""
    labels = ["cat" if place < num // 2 else "dog" for place in range(num)]
    other = {"cat": "dog", "dog": "cat"}
    frame = pd.DataFrame(
        {
            "path": [f"{label}/{place:04d}.jpg" for place, label in enumerate(labels)],
            "label": labels,
            "predicted": [other[label] if place in wrong else label for place, label in enumerate(labels)],
            "confidence": np.linspace(0.5, 1, num),
            "loss": 0.1,
        }
    )
    return frame.assign(**columns)


def test_fisher_of_the_lady_tasting_tea() -> None:
    # Eight cups, four of each kind, three of each told rightly: 1/70 + 16/70 and the same again from the other side.
    assert fisher_exact(3, 1, 1, 3) == pytest.approx(34 / 70)
    assert fisher_exact(4, 0, 0, 4) == pytest.approx(2 / 70)


def test_fisher_is_scipys_on_random_tables() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        a, b, c, d = generator.integers(0, 60, 4).tolist()
        assert fisher_exact(a, b, c, d) == pytest.approx(scipy_fisher([[a, b], [c, d]]).pvalue, rel=1e-6, abs=1e-12)
    assert fisher_exact(400, 100, 49_000, 500) == pytest.approx(
        scipy_fisher([[400, 100], [49_000, 500]]).pvalue, rel=1e-4
    )


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.5: times 4, 3, 2, 1, none smaller than the one before.
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([]) == []


def test_a_planted_part_is_found_and_stands_first() -> None:
    dark = np.arange(400) % 4 == 0
    wrong = {place for place in range(400) if dark[place] and place % 8 == 0} | {1, 201}
    found = compare(rows_of(400, wrong, brightness=np.where(dark, 0.1, 0.5 + np.arange(400) / 1000)))
    worst = found["rows"][0]
    assert (worst["by"], worst["images"], worst["right"]) == ("brightness", 100, 50)
    assert worst["value"].startswith("up to 0.") and worst["conspicuous"] and worst["p"] < 1e-6
    assert worst["rest"] == pytest.approx(298 / 300) and worst["expected"] == pytest.approx(348 / 400)
    assert found["conspicuous"] == 1
    assert (
        "brightness up to" in found["sentence"] and "50.0 % of 100 are right, of the rest 99.3 %" in found["sentence"]
    )


def test_of_parts_without_meaning_hardly_any_is_called_worse() -> None:
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(40):
        wrong = set(np.flatnonzero(generator.random(300) < 0.2).tolist())
        columns = {f"measure_{name}": generator.random(300) for name in "abcdefghij"}
        found = compare(rows_of(300, wrong, **columns))
        assert found["compared"] == 40
        alarms += found["conspicuous"] > 0
    assert alarms <= 5  # 5 % of 40 sets are 2; without correction nearly all would have one


def test_a_better_part_is_not_conspicuous_and_small_parts_are_left_out() -> None:
    wrong = {place for place in range(200) if place % 2}
    texts = ["clean" if place < 100 else "rest" for place in range(200)]
    found = compare(rows_of(200, wrong - set(range(100)), site=texts, lens=["rare"] * 9 + ["usual"] * 191))
    assert [row["value"] for row in found["rows"]] == ["rest", "clean"]
    assert [row["conspicuous"] for row in found["rows"]] == [True, False]


def test_every_column_of_a_manifest_is_divided_by_and_folders_that_are_classes_are_not() -> None:
    manifest = pd.DataFrame(
        {
            "path": [
                f"{label}/{site}/{number}.png" for label in ("cat", "dog") for site in "ab" for number in range(20)
            ],
            "label": ["cat"] * 40 + ["dog"] * 40,
            "split": "test",
            "width": np.tile([100, 200], 40),
            "height": np.tile([100, 50], 40),
            "is_blurry": np.arange(80) < 15,
            "blurry_score": np.linspace(0, 1, 80),
            "format": ["PNG"] * 60 + ["JPEG"] * 20,
            "sharpness": np.where(np.arange(80) < 8, np.nan, np.linspace(0, 0.2, 80)),
            "content_hash": [f"{number:016x}" for number in range(80)],
        }
    )
    answers = manifest[["path", "split", "label"]].assign(predicted=manifest["label"], confidence=0.9, loss=0.1)
    rows = joined(answers, manifest)
    found = compare(rows)
    by = {row["by"] for row in found["rows"]}
    assert by == {
        "longer side (pixels)",
        "width to height",
        "quality check",
        "file format",
        "sharpness",
        "folder, level 2",
    }
    flagged = next(row for row in found["rows"] if row["by"] == "quality check")
    assert (flagged["value"], flagged["images"]) == ("blurry", 15)
    assert sum(row["images"] for row in found["rows"] if row["by"] == "sharpness") == 72
    assert "none is worse beyond" in found["sentence"]
    assert all(isinstance(row["p"], float) and math.isfinite(row["p"]) for row in found["rows"])


def test_the_images_of_a_part_come_wrong_ones_first() -> None:
    rows = rows_of(40, {3, 21, 39}, site=["a"] * 20 + ["b"] * 20)
    images = members(rows, "site", "b")
    assert images["path"].tolist()[:2] == ["dog/0039.jpg", "dog/0021.jpg"] and len(images) == 20
    assert members(rows, "site", "c").empty


def test_too_few_images_are_not_compared() -> None:
    found = compare(rows_of(12, {1}, site=["a"] * 6 + ["b"] * 6))
    assert found["rows"] == [] and "cannot be divided" in found["sentence"]
