"""Figures checked against hand-worked examples, and against scikit-learn, which they are not made with."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as sk

from core.evaluation.calibration import expected_calibration_error
from core.evaluation.metrics import confusion, count_scores, macro_f1, normalise_rows, per_class, ranks, wilson_interval
from core.evaluation.scores import class_intervals, measure

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


# Ten images over three classes, as above, worked out by hand:
#   support 2, 4, 4; answers 1, 5, 4; hits 1, 3, 3
BY_HAND = {
    "accuracy": 7 / 10,
    "balanced_accuracy": (1 / 2 + 3 / 4 + 3 / 4) / 3,
    "macro_precision": (1 + 3 / 5 + 3 / 4) / 3,
    "macro_recall": 2 / 3,
    "macro_f1": (2 / 3 + 2 / 3 + 3 / 4) / 3,
    "weighted_precision": (2 * 1 + 4 * 3 / 5 + 4 * 3 / 4) / 10,
    "weighted_recall": 7 / 10,
    "weighted_f1": (2 * 2 / 3 + 4 * 2 / 3 + 4 * 3 / 4) / 10,
    "kappa": (0.7 - 0.38) / (1 - 0.38),  # expected: (2 * 1 + 4 * 5 + 4 * 4) / 100
    "mcc": 0.32 / math.sqrt((1 - 0.36) * (1 - 0.42)),  # support squared 4 + 16 + 16, answers squared 1 + 25 + 16
}


def test_every_score_of_counts_by_hand() -> None:
    counts = confusion(LABELS, ANSWERS, CLASSES)
    scores = count_scores(counts.sum(axis=1), counts.sum(axis=0), counts.diagonal())
    assert {name: float(score) for name, score in scores.items()} == pytest.approx(BY_HAND)


def test_figures_of_probabilities_and_baselines_by_hand() -> None:
    #                      true cat         true dog         true dog
    probabilities = np.array([[0.1, 0.7, 0.2], [0.3, 0.5, 0.2], [0.0, 0.25, 0.75]])
    labels, answers = ["cat", "dog", "dog"], ["cat", "cat", "dog"]
    figures = measure(
        labels,
        answers,
        probabilities.max(axis=1),
        -np.log([0.7, 0.2, 0.75]),
        probabilities,
        confusion(labels, answers, CLASSES),
        CLASSES,
    )
    value = {name: row["value"] for name, row in figures.items()}
    assert value["log_loss"] == pytest.approx(-(math.log(0.7) + math.log(0.2) + math.log(0.75)) / 3)
    squares = (0.01 + 0.09 + 0.04) + (0.09 + 0.25 + 0.64) + (0 + 0.0625 + 0.0625)
    assert value["brier"] == pytest.approx(squares / 3)
    assert value["top_2_accuracy"] == pytest.approx(2 / 3)  # the second image's dog comes third
    assert "top_3_accuracy" not in value and "top_5_accuracy" not in value
    # Confidences 0.7, 0.5 and 0.75 fall into the bins up to 11/15, 8/15 and 12/15, each alone in its bin.
    assert value["ece"] == pytest.approx((abs(1 - 0.7) + abs(0 - 0.5) + abs(1 - 0.75)) / 3)
    assert figures["accuracy"]["majority"] == pytest.approx(2 / 3) and figures["accuracy"]["chance"] == pytest.approx(
        1 / 3
    )
    assert figures["macro_f1"]["majority"] == pytest.approx((0 + 2 * 2 / (2 + 3)) / 2)  # cat and dog have images
    assert figures["kappa"]["majority"] == figures["mcc"]["chance"] == 0
    assert figures["log_loss"]["chance"] == pytest.approx(math.log(3))
    assert figures["log_loss"]["majority"] == pytest.approx(-(math.log(1 / 3) + 2 * math.log(2 / 3)) / 3)
    assert figures["brier"]["chance"] == pytest.approx(2 / 3)
    assert figures["brier"]["majority"] == pytest.approx(1 - 1 / 9 - 4 / 9)
    assert figures["top_2_accuracy"]["majority"] == 1 and figures["top_2_accuracy"]["chance"] == pytest.approx(2 / 3)
    assert all(row["low"] <= row["value"] <= row["high"] for name, row in figures.items() if name != "ece")


@pytest.mark.parametrize("seed", range(12))
def test_scikit_learn_agrees_on_random_tables(seed: int) -> None:
    lots = np.random.default_rng(seed)
    num_classes, num_images = int(lots.integers(2, 9)), int(lots.integers(5, 120))
    probabilities = lots.dirichlet(np.full(num_classes, 0.5), num_images)
    classes = [f"c{place}" for place in range(num_classes)]
    true, answered = lots.integers(num_classes, size=num_images), probabilities.argmax(axis=1)
    probabilities = np.maximum(probabilities, 1e-9) / np.maximum(probabilities, 1e-9).sum(axis=1, keepdims=True)
    labels, answers = [classes[i] for i in true], [classes[i] for i in answered]
    counts = confusion(labels, answers, classes)
    assert np.array_equal(counts, sk.confusion_matrix(true, answered, labels=range(num_classes)))
    confidence, loss = probabilities.max(axis=1), -np.log(probabilities[np.arange(num_images), true])
    figures = measure(labels, answers, confidence, loss, probabilities, counts, classes)
    present = np.unique(true)
    expected = {
        "accuracy": sk.accuracy_score(true, answered),
        "balanced_accuracy": np.mean([np.mean(answered[true == place] == place) for place in present]),
        "kappa": sk.cohen_kappa_score(true, answered),
        "mcc": sk.matthews_corrcoef(true, answered),
        "log_loss": sk.log_loss(true, probabilities, labels=range(num_classes)),
        "brier": np.mean(
            [np.sum((row - np.eye(num_classes)[i]) ** 2) for row, i in zip(probabilities, true, strict=True)]
        ),
    }
    for average in ("macro", "weighted"):
        found = sk.precision_recall_fscore_support(true, answered, labels=present, average=average, zero_division=0)
        expected |= {
            f"{average}_{name}": figure for name, figure in zip(("precision", "recall", "f1"), found, strict=False)
        }
    for k in (2, 3, 5):
        if k < num_classes:
            expected[f"top_{k}_accuracy"] = sk.top_k_accuracy_score(true, probabilities, k=k, labels=range(num_classes))
    assert {name: figures[name]["value"] for name in expected} == pytest.approx(expected)
    assert figures.keys() - expected.keys() == {"ece"}
    table = per_class(labels, answers, classes)
    found = sk.precision_recall_fscore_support(true, answered, labels=range(num_classes), zero_division=0)
    assert np.allclose(table[["precision", "recall", "f1", "support"]].to_numpy().T, found)
    # What the view of trust shows of the same probabilities is the same figure.
    assert figures["brier"]["value"] == pytest.approx(
        ((probabilities - np.eye(probabilities.shape[1])[true]) ** 2).sum(axis=1).mean()
    )


def test_calibration_error_by_counting_bin_by_bin() -> None:
    lots = np.random.default_rng(3)
    confidence = np.concatenate([lots.random(200), np.arange(1, 16) / 15])
    right = lots.random(215) < 0.6
    gaps = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            gaps += abs(confidence[inside].mean() - right[inside].mean()) * inside.sum()
    assert expected_calibration_error(confidence, right) == pytest.approx(gaps / 215)


def test_ranks_put_the_first_of_equals_first() -> None:
    table = np.array([[0.4, 0.4, 0.2]] * 3)
    assert ranks(table, np.array([0, 1, 2])).tolist() == [0, 1, 2]


def test_one_class_alone_has_no_kappa_and_everything_else() -> None:
    counts = np.array([[4]])
    figures = measure(["a"] * 4, ["a"] * 4, np.ones(4), np.zeros(4), np.ones((4, 1)), counts, ["a"])
    assert figures["kappa"]["value"] is None and figures["kappa"]["low"] is None
    assert figures["accuracy"]["value"] == 1 and figures["log_loss"]["value"] == 0


def test_guessing_agrees_with_nothing_to_the_last_bit() -> None:
    support = np.array([3.0, 7.0, 11.0])
    guessed = count_scores(support, np.full(3, 7.0), support / 3)
    assert guessed["kappa"] == 0 and guessed["mcc"] == 0


def test_intervals_of_classes_by_hand() -> None:
    table = class_intervals(per_class(LABELS, ANSWERS, CLASSES)).set_index("label")
    assert table.loc["cat", ["recall_low", "recall_high"]].tolist() == pytest.approx(wilson_interval(3, 4))
    assert table.loc["cat", ["precision_low", "precision_high"]].tolist() == pytest.approx(wilson_interval(3, 5))
    low, high = wilson_interval(3, 6)  # cat's three hits of the six images that are cats or were answered with it
    assert table.loc["cat", ["f1_low", "f1_high"]].tolist() == pytest.approx(
        [2 * low / (1 + low), 2 * high / (1 + high)]
    )
    missing = class_intervals(per_class(["cat"], ["cat"], CLASSES)).set_index("label").loc["bird"]
    assert missing[["recall_low", "precision_high", "f1_low"]].isna().all()
