"""Confidence against truth, by hand; and a model that is really too sure of itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_digits

from core.evaluation import calibration
from core.evaluation.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    rescaled,
)
from core.inference.bundle import read_bundle
from core.inference.classifier import softmax
from tests.evaluation.trusting import answered_run


def test_the_calibration_error_by_hand() -> None:
    confidence, right = np.array([1.0, 0.8, 0.8, 0.6]), np.array([True, True, False, False])
    # Five bins: (0.8, 1] says 1 and is right; (0.6, 0.8] says 0.8, is right half the time; (0.4, 0.6] says 0.6, never.
    assert expected_calibration_error(confidence, right, 5) == pytest.approx(0.5 * 0.3 + 0.25 * 0.6)
    rows = reliability(confidence, right, 5)
    assert [(row["low"], row["images"]) for row in rows] == [(0.4, 1), (pytest.approx(0.6), 2), (0.8, 1)]
    assert [row["accuracy"] for row in rows] == [0, 0.5, 1]
    assert expected_calibration_error(np.zeros(0), np.zeros(0, bool)) == 0


def test_log_loss_by_hand() -> None:
    table, targets = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]]), np.array([0, 2])
    assert negative_log_likelihood(table, targets) == pytest.approx((-math.log(0.7) - math.log(1e-12)) / 2)


def test_a_temperature_divides_the_logits() -> None:
    assert rescaled(np.array([[0.9, 0.1]]), 2.0) == pytest.approx(np.array([[0.75, 0.25]]))  # 9 : 1 becomes 3 : 1
    logits = np.random.default_rng(0).normal(scale=4, size=(50, 7))
    assert rescaled(softmax(logits), 1.7) == pytest.approx(softmax(logits / 1.7))
    assert rescaled(np.array([[1.0, 0.0]]), 0.5) == pytest.approx(np.array([[1.0, 0.0]]))


@pytest.mark.parametrize(("said", "right", "temperature"), [(0.9, 0.75, 2.0), (0.75, 0.9, 0.5), (0.8, 0.8, 1.0)])
def test_the_temperature_that_makes_a_coin_honest(said: float, right: float, temperature: float) -> None:
    """Of two classes with odds 9 : 1 that is right three times in four, the square root of the odds is honest."""
    table = np.tile([said, 1 - said], (400, 1))
    targets = (np.arange(400) >= 400 * right).astype(int)
    assert fit_temperature(table, targets) == pytest.approx(temperature, rel=1e-5)


@pytest.mark.parametrize(("num_classes", "scale"), [(2, 1.0), (10, 5.0), (10, 0.2), (3, 100.0)])
def test_the_fit_is_where_a_blind_search_ends(num_classes: int, scale: float) -> None:
    draws = np.random.default_rng(num_classes)
    targets = draws.integers(0, num_classes, 300)
    logits = draws.normal(size=(300, num_classes))
    logits[np.arange(300), targets] += 1
    table = softmax(scale * logits)
    ends = (math.log(calibration.COLDEST), math.log(calibration.HOTTEST))
    found = minimize_scalar(
        lambda t: negative_log_likelihood(rescaled(table, math.exp(t)), targets), bounds=ends, method="bounded",
        options={"xatol": 1e-8},
    )  # fmt: skip
    assert fit_temperature(table, targets) == pytest.approx(math.exp(found.x), rel=1e-3)


@pytest.fixture(scope="module")
def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of 1,397 digits by a network that has learned 400 others by heart, a fifth of them wrong."""
    digits = load_digits()
    draws = np.random.default_rng(0)
    order = draws.permutation(len(digits.target))
    images = torch.tensor(digits.data[order] / 16, dtype=torch.float32)
    targets = np.where(draws.random(len(order)) < 0.2, draws.integers(0, 10, len(order)), digits.target[order])
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[:400]), torch.tensor(targets[:400]))
        loss.backward()
        optimizer.step()
    assert loss < 0.05, "it is to know its training images by heart"
    with torch.no_grad():
        return network(images[400:]).numpy(), targets[400:]


def test_an_overconfident_model_becomes_honest(tmp_path: Path, overconfident: tuple[np.ndarray, np.ndarray]) -> None:
    logits, targets = overconfident
    splits = ["val"] * 600 + ["test"] * (len(targets) - 600)
    found = calibration.section(answered_run(tmp_path, splits, targets, logits))
    assert found["temperature"] > 1.5 and found["reason"] is None
    before, after = found["test"]["before"], found["test"]["after"]
    assert before["ece"] > 0.1 and after["ece"] < before["ece"] - 0.05
    assert after["nll"] < before["nll"] - 0.1 and after["brier"] < before["brier"]
    assert after["accuracy"] == before["accuracy"]
    assert abs(after["mean_confidence"] - after["accuracy"]) < abs(before["mean_confidence"] - before["accuracy"])
    assert read_bundle(tmp_path / "bundle").temperature == found["temperature"]


def test_the_test_images_have_no_part_in_the_fit(tmp_path: Path, overconfident: tuple[np.ndarray, np.ndarray]) -> None:
    logits, targets = overconfident
    splits = ["val"] * 600 + ["test"] * (len(targets) - 600)
    found = calibration.section(answered_run(tmp_path, splits, targets, logits))
    spoiled = np.where(np.arange(len(targets)) < 600, targets, 0)
    again = calibration.section(answered_run(tmp_path, splits, spoiled, logits))
    assert again["temperature"] == found["temperature"]
    assert again["test"]["before"]["nll"] != found["test"]["before"]["nll"]


@pytest.mark.parametrize(
    ("images", "reason"), [(19, "19 validation images"), (40, "not one validation image is wrong")]
)
def test_a_temperature_is_not_made_up(tmp_path: Path, images: int, reason: str) -> None:
    targets = np.arange(images) % 2
    logits = np.stack([1.0 - targets, targets], axis=1)
    found = calibration.section(answered_run(tmp_path, ["val"] * images, targets, logits))
    assert found["temperature"] == 1 and reason in found["reason"] and "test" not in found
