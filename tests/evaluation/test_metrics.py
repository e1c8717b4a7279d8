"""Figures checked against hand-worked examples and properties, not against scikit-learn again."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from core.evaluation.metrics import confusion, macro_f1, normalise_rows, per_class, wilson_interval

CLASSES = ["bird", "cat", "dog"]
#                bird x2          cat x4                        dog x4
LABELS = ["bird"] * 2 + ["cat"] * 4 + ["dog"] * 4
ANSWERS = ["bird", "cat"] + ["cat", "cat", "cat", "dog"] + ["dog", "dog", "cat", "dog"]


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # 8 of 10: z2 = 3.84146; centre (0.8 + 0.192073) / 1.384146 = 0.716740; half-width
        # 1.959964 sqrt(0.016 + 0.0096037) / 1.384146 = 0.226577
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),  # z2 / (n + z2) = 3.84146 / 13.84146
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_wilson_interval_by_hand(successes: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(successes, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [1, 7, 300, 100_000])
def test_wilson_interval_holds_the_share_and_mirrors(total: int) -> None:
    for successes in {0, 1, total // 3, total - 1, total}:
        low, high = wilson_interval(successes, total)
        assert 0 <= low <= successes / total <= high <= 1
        other_low, other_high = wilson_interval(total - successes, total)
        assert (other_low, other_high) == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_interval_refuses_what_is_no_share(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="not a share"):
        wilson_interval(successes, total)


def test_confusion_counts_rows_true_and_columns_answered() -> None:
    assert confusion(LABELS, ANSWERS, CLASSES).tolist() == [[1, 1, 0], [0, 3, 1], [0, 1, 3]]


def test_confusion_follows_the_order_of_the_classes_given() -> None:
    assert confusion(LABELS, ANSWERS, ["dog", "cat", "bird"]).tolist() == [[3, 1, 0], [1, 3, 0], [0, 1, 1]]


def test_normalised_rows_sum_to_one_and_an_empty_row_stays_zero() -> None:
    shares = normalise_rows(np.array([[1, 3], [0, 0]]))
    assert shares.tolist() == [[0.25, 0.75], [0.0, 0.0]]


def test_per_class_by_hand() -> None:
    table = per_class(LABELS, ANSWERS, CLASSES).set_index("label")
    # cat: answered 5 times, 3 rightly; 4 images.
    assert table.loc["cat", ["precision", "recall", "support"]].tolist() == pytest.approx([3 / 5, 3 / 4, 4])
    assert table.loc["cat", "f1"] == pytest.approx(2 * 3 / (5 + 4))
    assert table.loc["bird", ["precision", "recall", "f1", "support"]].tolist() == pytest.approx([1, 0.5, 2 / 3, 2])
    assert macro_f1(table) == pytest.approx((2 / 3 + 2 / 3 + 3 / 4) / 3)


def test_classes_without_images_or_answers_are_zero_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = per_class(["cat", "dog"], ["cat", "cat"], CLASSES)
    assert table["support"].tolist() == [0, 1, 1]
    assert table.loc[0, ["precision", "recall", "f1"]].tolist() == [0, 0, 0]
    assert table.loc[2, ["precision", "recall", "f1"]].tolist() == [0, 0, 0]
    assert macro_f1(table) == pytest.approx((2 / 3 + 0) / 2)  # bird has no images, so it does not count


def test_nothing_to_measure() -> None:
    assert confusion([], [], CLASSES).tolist() == [[0] * 3] * 3
    table = per_class([], [], CLASSES)
    assert table["support"].tolist() == [0, 0, 0]
    assert macro_f1(table) is None


def test_a_label_outside_the_classes_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="wolf"):
        confusion(["wolf"], ["cat"], CLASSES)
