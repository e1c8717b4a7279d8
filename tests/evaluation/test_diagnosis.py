"""The diagnosis names what was really done wrong and says nothing of a sound run; each sign knows when to be silent."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.diagnosis import CASES, MUST_SHOW, flipped, is_right, trained
from benchmarks.evaluation import flawed_model
from core.config import TrainConfig, build_config
from core.data.leaks import affected_test_images, count_leaks
from core.evaluation.data_signs import few_images, label_noise, leak, suspicious_test
from core.evaluation.fit_signs import over_fitting, under_fitting
from core.evaluation.pace_signs import learning_rate_high, learning_rate_low, still_learning
from core.evaluation.remarks import Share, lead
from core.evaluation.training_course import Training
from core.files import read_json, write_json
from core.workspace import Workspace
from tests.conftest import made_once
from tests.running import worker_context

SCRATCH = build_config({"optim.epochs": 5}, "from-scratch")
Z95 = 1.959964


def _train_all(home: str) -> None:
    """The five of the issue in one process: torch is loaded once."""
    os.environ["DARKROOM_HOME"] = home
    ws = Workspace(Path(home))
    write_json(ws.root / "said.json", {name: (trained(ws, name, 0).report() or {})["diagnosis"] for name in MUST_SHOW})


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the diagnosis says of five really trained models, by case."""

    def make(folder: Path) -> None:
        process = worker_context().Process(target=_train_all, args=(str(folder / "home"),))
        process.start()
        process.join()
        assert process.exitcode == 0

    return read_json(made_once(tmp_path_factory, "diagnosed", make) / "home" / "said.json")


@pytest.mark.parametrize("name", MUST_SHOW)
def test_five_really_trained_models(said: dict[str, Any], name: str) -> None:
    remarks = said[name]["remarks"]
    kinds = [remark["kind"] for remark in remarks]
    assert is_right(name, kinds), (name, CASES[name].names, remarks)
    assert set(kinds) <= {*CASES[name].names, "few_images"}, remarks
    for remark in remarks:
        assert any(letter.isdigit() for letter in remark["finding"]) and remark["advice"] and remark["figures"]
        assert remark["title"] in said[name]["sentence"]
    if not remarks:
        assert said[name]["sentence"].startswith("Nothing is wrong that")


def test_the_difference_of_two_shares_is_newcombes() -> None:
    # His table II, method 10: 56 of 70 against 48 of 80, and 10 of 10 against 0 of 20.
    assert lead(Share(56, 70), Share(48, 80), Z95) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert lead(Share(10, 10), Share(0, 20), Z95) == pytest.approx((0.6791, 1.0), abs=5e-5)
    assert lead(Share(0, 0), Share(5, 9))[0] < 0 < lead(Share(0, 0), Share(5, 9))[1]


def course(
    train_accuracy: list[float],
    val_accuracy: list[float] | None = None,
    held_out: Share = Share(180, 200),  # noqa: B008  (a tuple)
    config: TrainConfig = SCRATCH,
    num_train: int = 1000,
    **figures: list[float],
) -> Training:
    """Epochs with these figures; losses fall evenly and the rate is constant where none are given."""
    num = len(train_accuracy)
    columns = {
        "epoch": list(range(1, num + 1)),
        "train_loss": [1.0 - 0.1 * at / num for at in range(num)],
        "val_loss": [1.0 - 0.1 * at / num for at in range(num)],
        "train_accuracy": train_accuracy,
        "val_accuracy": val_accuracy or train_accuracy,
        "learning_rate": [0.01] * num,
    } | figures
    rows: list[dict[str, Any]] = pd.DataFrame(columns).to_dict("records")  # type: ignore[assignment]
    losses = np.where(np.arange(held_out.total) < held_out.hits, 0.05, 3.0)
    return Training(rows, config, num_train, 200, held_out, Share(20, 200), losses)


def test_accuracy_that_falls_again_and_again_is_too_high_a_rate() -> None:
    found = learning_rate_high(course([0.3, 0.5, 0.4, 0.5, 0.4, 0.5]))
    assert found and "fell beyond chance 2 times in 6 epochs" in found.finding and "0.01" in found.finding
    assert learning_rate_high(course([0.3, 0.5, 0.4, 0.5, 0.55, 0.6])) is None  # once may be chance
    assert learning_rate_high(course([0.3, 0.5, 0.48, 0.5, 0.47, 0.5])) is None  # within it


def test_accuracy_that_ends_below_its_best_is_too_high_a_rate() -> None:
    found = learning_rate_high(course([0.3, 0.5, 0.46, 0.42, 0.38, 0.34]))
    assert found and "ended at 34.0 %" in found.finding and "after 50.0 %" in found.finding
    mixed = build_config({"augment.mixup": 0.2}, "from-scratch")
    assert learning_rate_high(course([0.3, 0.5, 0.4, 0.5, 0.4, 0.5], config=mixed)) is None


def test_steady_progress_that_does_not_slacken_is_too_low_a_rate() -> None:
    rising = [0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40]
    found = learning_rate_low(course(rising, train_loss=[2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7]))
    assert found and "from 2.3 to 1.7 in 6 epochs" in found.finding and "100.0 % as fast" in found.finding
    bent = learning_rate_low(course(rising, train_loss=[2.3, 1.4, 1.0, 0.8, 0.75, 0.72, 0.7]))
    there = learning_rate_low(course([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97], train_loss=[7.0, 6, 5, 4, 3, 2, 1]))
    assert bent is None and there is None


def test_an_annealed_rate_is_not_looked_at() -> None:
    """What falls when the rate is lowered says nothing of the rate before."""
    rates = [0.01, 0.01, 0.01, 0.004, 0.002, 0.001, 0.0005]
    rising = [0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40]
    assert learning_rate_low(course(rising, train_loss=[7.0, 6, 5, 4, 3, 2, 1], learning_rate=rates)) is None


def test_a_rise_of_validation_accuracy_until_the_end_is_still_learning() -> None:
    found = still_learning(course([0.3, 0.6], val_loss=[1.0, 0.5]))
    assert (
        found and found.finding.startswith("Validation accuracy rose from 30.0 %") and "1 epoch of 2" in found.finding
    )
    assert still_learning(course([0.3, 0.32], val_loss=[1.0, 0.5])) is None  # 6 and 4 images of 200
    assert still_learning(course([0.3, 0.6], val_loss=[0.5, 1.0])) is None  # the last epoch is not the kept one


def test_training_images_known_far_better_than_others_are_over_fitting() -> None:
    found = over_fitting(course([0.9, 0.99, 0.999], held_out=Share(160, 200)))
    assert found and "99.9 % of its 1,000 training images" in found.finding and "80.0 %" in found.finding
    assert over_fitting(course([0.9, 0.99, 0.999], held_out=Share(195, 200))) is None  # certain, and not worth a word
    assert over_fitting(course([0.9, 0.99, 0.999], held_out=Share(19, 20))) is None  # too few to say


def test_few_training_images_known_by_heart_show_in_their_loss() -> None:
    """All of 40 right might be chance where nine tenths are; their loss cannot."""
    few: dict[str, Any] = {"num_train": 40, "held_out": Share(178, 200), "val_loss": [1, 0.9, 0.8]}
    assert over_fitting(course([0.9, 1.0, 1.0], train_loss=[1, 0.1, 0.01], **few))
    assert over_fitting(course([0.9, 1.0, 1.0], train_loss=[1, 0.5, 0.4], **few)) is None
    weighted = build_config({"optim.class_weights": "balanced"}, "from-scratch")
    assert over_fitting(course([0.9, 1.0, 1.0], train_loss=[1, 0.1, 0.01], config=weighted, **few)) is None


def test_a_steady_rise_of_validation_loss_is_over_fitting() -> None:
    falling = [1.0, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1]
    flat: dict[str, Any] = {"train_accuracy": [0.9] * 9, "train_loss": falling}
    found = over_fitting(course(**flat, val_loss=[1.0, 0.50, 0.52, 0.54, 0.57, 0.6, 0.62, 0.66, 0.7]))
    assert found and found.finding.startswith("From epoch 2 on validation loss rose steadily from 0.5 to 0.7")
    assert over_fitting(course(**flat, val_loss=[1.0, 0.5, 0.55, 0.51, 0.56, 0.52, 0.57, 0.51, 0.56])) is None
    assert over_fitting(course(**flat, val_loss=[1.0, 0.5, 0.501, 0.502, 0.503, 0.504, 0.505, 0.506, 0.507])) is None


def test_training_images_that_are_not_learned_are_under_fitting() -> None:
    level = [0.5, 0.6, 0.6, 0.6, 0.6]
    found = under_fitting(course(level))
    assert found and found.title == "Under-fitting" and "60.0 %" in found.finding
    held_back = under_fitting(course(level, val_accuracy=[0.8] * 5))
    assert held_back and "held back" in held_back.title and "augment.shift = 0.08" in held_back.advice
    assert under_fitting(course([0.5, 0.5, 0.5, 0.5, 0.6])) is None  # not level yet
    assert under_fitting(course([0.5, 0.9, 0.9, 0.9, 0.9])) is None
    assert under_fitting(course([0.6, 0.6])) is None  # too short to say


def test_what_guesses_has_learned_nothing() -> None:
    found = under_fitting(course([0.1, 0.11, 0.1], held_out=Share(8, 200)))
    assert found and found.title == "It has learned nothing" and "10.0 %" in found.finding


@pytest.mark.parametrize("broken", [math.nan, math.inf, None])
def test_epochs_without_figures_are_passed_over(broken: float | None) -> None:
    training = course([0.3, 0.6])
    training.history[0]["val_loss"] = broken
    assert len(training.rows) == 1 and still_learning(training) is None and over_fitting(training) is None


def table(num: int, wrong: np.ndarray, split: str = "test", classes: int = 10) -> pd.DataFrame:
    """Answers in order of falling confidence, some wrong."""
    truth = np.arange(num) % classes
    answers = np.where(wrong, (truth + 1) % classes, truth)
    names = {"path": [f"{split}/{at:05d}.png" for at in range(num)], "split": split}
    labels = {"label": truth.astype(str), "predicted": answers.astype(str)}
    return pd.DataFrame(names | labels | {"confidence": np.linspace(1, 0.3, num), "loss": 0.1})


def test_mistakes_among_sure_and_unsure_answers_alike_are_wrong_labels() -> None:
    every_tenth = np.arange(600) % 10 == 3
    found = label_noise(table(600, every_tenth))
    assert found and "Of the 300 held-out images it is surest of, 10.0 %" in found.finding
    assert "About one label in 10" in found.advice
    unsure = np.arange(600) >= 540
    assert label_noise(table(600, unsure)) is None  # as many, where it was unsure
    assert label_noise(table(60, np.arange(60) % 10 == 3)) is None  # too few to say
    assert label_noise(table(600, np.arange(600) % 2 == 0)) is None  # it knows nothing
    assert label_noise(table(0, np.zeros(0, bool))) is None


def test_test_images_that_are_too_easy_or_too_hard() -> None:
    good, bad = np.arange(300) < 3, np.arange(300) < 60
    easy = suspicious_test(pd.concat([table(300, good), table(300, bad, "val")]))
    hard = suspicious_test(pd.concat([table(300, bad), table(300, good, "val")]))
    assert easy and "easy" in easy.title and "99.0 %" in easy.finding and "80.0 %" in easy.finding
    assert hard and "harder" in hard.title
    assert suspicious_test(pd.concat([table(300, bad), table(300, np.arange(300) < 40, "val")])) is None


def test_a_rare_class_that_is_seldom_found() -> None:
    answers = table(600, (np.arange(600) % 10 == 4) & (np.arange(600) % 20 == 4))
    counts = {str(number): 100 for number in range(10)} | {"4": 8}
    manifest = pd.DataFrame({"label": [name for name, num in counts.items() for _ in range(num)], "split": "train"})
    found = few_images(answers, manifest, list(counts))
    assert found and "'4' has 8 training images and 50.0 %" in found.finding and "100.0 %" in found.finding
    enough = pd.DataFrame({"label": [str(at % 10) for at in range(1000)], "split": "train"})
    assert few_images(answers, enough, list(counts)) is None  # seldom found, and not for want of images
    assert few_images(table(600, np.zeros(600, bool)), manifest, list(counts)) is None


def copies(num_copied: int) -> pd.DataFrame:
    """A manifest of 300 test and 300 training images, the first so many of both the same."""
    number = np.arange(600)
    hashes = np.where(number % 300 < num_copied, number % 300, number)
    path = [f"{'test' if at < 300 else 'train'}/{at % 300:05d}.png" for at in number]
    labels = {"label": (number % 10).astype(str), "split": np.where(number < 300, "test", "train")}
    return pd.DataFrame({"path": path, "content_hash": [f"{value:016x}" for value in hashes], "error": None} | labels)


def test_copies_on_both_sides_are_counted_and_compared() -> None:
    config, manifest = SCRATCH.split, copies(90)
    counted = count_leaks(manifest, config)
    assert len(affected_test_images(manifest, config)) == counted.num_test_affected == 90
    wrong = np.isin(np.arange(300), range(90, 150))
    found = leak(table(300, wrong), manifest, config, {"num_test_affected": 90})
    assert found and "90 test images of 300 (30.0 %) have a copy" in found.finding
    assert "of them 100.0 %" in found.finding and "all others 71.4 %" in found.finding
    assert leak(table(300, wrong), manifest, config, {"num_test_affected": 0}) is None
    assert leak(table(300, wrong), copies(2), config, {"num_test_affected": 2}) is None  # two of 300 flatter nobody


def _sound_tables(num: int) -> Iterator[pd.DataFrame]:
    """Answers of a made-up model that confuses classes and is surer than it should be; its labels are right."""
    model, lots = flawed_model(10), np.random.default_rng(7)
    for _ in range(num):
        drawn = model(lots, 600)
        answers = drawn.probabilities.argmax(axis=1)
        frame = pd.DataFrame({"label": drawn.true.astype(str), "predicted": answers.astype(str)})
        split = np.where(np.arange(600) < 300, "val", "test")
        yield frame.assign(
            path=np.arange(600).astype(str), split=split, confidence=drawn.probabilities.max(axis=1), loss=0.1
        )


def test_seldom_a_word_about_sound_answers() -> None:
    """Of 100 tables, intervals of 99 % let one or two be blamed for harder or easier test images."""
    blamed = sum(bool(label_noise(rows) or suspicious_test(rows)) for rows in _sound_tables(100))
    assert blamed <= 5


def test_flipped_labels_are_seen_in_most_tables() -> None:
    lots = np.random.default_rng(3)
    seen = sum(label_noise(flipped(0.1)(_surer(rows), lots)) is not None for rows in _sound_tables(40))
    assert seen >= 30


def _surer(rows: pd.DataFrame) -> pd.DataFrame:
    """The same of a model that is nearly always right: wrong labels are found by those."""
    return rows.assign(predicted=np.where(rows["confidence"] > 0.3, rows["label"], rows["predicted"]))
