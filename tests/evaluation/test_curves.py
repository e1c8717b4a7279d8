"""Each remark on the training curves is made for its own shape, with the figures of that shape."""

from __future__ import annotations

import math

import pytest

from core.evaluation.curves import fit_remark

Row = dict[str, float | int | None]


def history(
    train_loss: list[float], val_loss: list[float], train_accuracy: float = 0.98, val_accuracy: float = 0.975
) -> list[Row]:
    """Epochs with these losses; accuracies are the same in each."""
    return [
        {
            "epoch": number,
            "train_loss": train,
            "val_loss": val,
            "train_accuracy": train_accuracy,
            "val_accuracy": val_accuracy,
        }
        for number, (train, val) in enumerate(zip(train_loss, val_loss, strict=True), start=1)
    ]


@pytest.mark.parametrize(("num_epochs", "words"), [(0, "0 epochs"), (1, "1 epoch "), (2, "2 epochs")])
def test_too_few_epochs_to_say(num_epochs: int, words: str) -> None:
    remark = fit_remark(history([1.0] * num_epochs, [1.0] * num_epochs))
    assert words in remark and "too early" in remark


def test_over_fitting_names_the_epoch_and_both_figures() -> None:
    remark = fit_remark(history([1.0, 0.5, 0.2, 0.05], [0.9, 0.40, 0.45, 0.62]))
    assert remark.startswith("Over-fitting after epoch 2: ")
    assert "validation loss rose from 0.4 to 0.62" in remark
    assert "training loss fell from 0.5 to 0.05" in remark


@pytest.mark.parametrize("last", [0.419, 0.42])
def test_a_rise_of_up_to_five_percent_is_not_over_fitting(last: float) -> None:
    assert fit_remark(history([0.5, 0.45, 0.42, 0.41], [0.5, 0.4, 0.41, last])).startswith("Well matched")


def test_a_rise_too_small_to_matter_is_not_over_fitting() -> None:
    assert fit_remark(history([0.004, 0.003, 0.002], [0.004, 0.0010, 0.0014])).startswith("Well matched")


def test_both_losses_rising_is_unsteady_not_over_fitting() -> None:
    remark = fit_remark(history([0.5, 0.3, 0.6], [0.5, 0.3, 0.7]))
    assert remark.startswith("Unsteady after epoch 2") and "learning rate" in remark


def test_losses_still_falling_ask_for_more_epochs() -> None:
    remark = fit_remark(history([2.0, 1.5, 1.1, 0.8], [2.1, 1.6, 1.2, 0.9]))
    assert remark.startswith("Under-fitting") and "more epochs" in remark
    assert "validation loss fell from 1.6 to 0.9" in remark and "training loss from 1.5 to 0.8" in remark


def test_flat_and_low_asks_for_a_larger_model() -> None:
    remark = fit_remark(history([1.2, 1.19, 1.19], [1.2, 1.2, 1.2], train_accuracy=0.55, val_accuracy=0.54))
    assert remark.startswith("Under-fitting: training accuracy ends at 55.0 %") and "larger model" in remark


def test_validation_above_training_is_explained() -> None:
    remark = fit_remark(history([0.3, 0.3, 0.3], [0.2, 0.2, 0.2], train_accuracy=0.90, val_accuracy=0.95))
    assert "95.0 %, is above training accuracy, 90.0 %" in remark
    assert "dropout and augmentation" in remark and "No sign of over-fitting" in remark


def test_a_gap_without_a_rise_is_some_over_fitting() -> None:
    remark = fit_remark(history([0.1, 0.1, 0.1], [0.3, 0.3, 0.3], train_accuracy=0.99, val_accuracy=0.90))
    assert remark.startswith("Some over-fitting") and "9.0 points" in remark


def test_well_matched_names_accuracies_and_losses() -> None:
    remark = fit_remark(history([0.06, 0.051, 0.05], [0.071, 0.070, 0.0705]))
    assert remark.startswith("Well matched: training accuracy is 98.0 % and validation accuracy 97.5 %")
    assert "0.0705" in remark and "0.07 at epoch 2" in remark


@pytest.mark.parametrize("broken", [math.nan, math.inf, None])
def test_losses_that_are_no_numbers_at_the_end_mean_divergence(broken: float | None) -> None:
    rows = history([1.0, 0.9, 0.8, 0.7], [1.0, 0.9, 0.8, 0.7])
    rows[-1] |= {"train_loss": broken, "val_loss": broken}
    assert fit_remark(rows).startswith("Training diverged: at epoch 4") and "learning rate" in fit_remark(rows)


def test_a_broken_epoch_in_between_is_passed_over() -> None:
    rows = history([1.0, 0.5, math.nan, 0.2, 0.05], [0.9, 0.4, math.nan, 0.45, 0.62])
    assert fit_remark(rows).startswith("Over-fitting after epoch 2")
    del rows[3]["val_accuracy"]
    assert fit_remark(rows).startswith("Over-fitting after epoch 2")
