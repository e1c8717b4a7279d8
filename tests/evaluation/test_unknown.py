"""Images unlike the model's own: scores by hand, the rate that is promised, and a job that shows another dataset."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import jobs
from core.data.datasets import index_path
from core.data.stored import open_dataset
from core.evaluation import strangers, unknown
from core.evaluation.evaluate import evaluate_run
from core.evaluation.predictions import read_predictions
from core.evaluation.unknown import flagged, flagging_threshold, separation, with_distances
from core.inference.bundle import FAMILIAR, note_trust, read_bundle
from core.inference.classifier import open_classifier
from core.inference.familiar import Familiar, energy, read_familiar
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.evaluation.trusting import answered_run


def test_energy_by_hand_and_without_overflow() -> None:
    assert energy(np.array([[0.0, 0.0], [math.log(3), 0.0]])) == pytest.approx(np.array([-math.log(2), -math.log(4)]))
    assert energy(np.array([[1e4, 0.0]], np.float32)).tolist() == [-1e4]


def test_distances_by_hand() -> None:
    """Five directions in a plane: at 0, 10, 20, 30 and 90 degrees, of any length."""
    angles = np.radians([0, 10, 20, 30, 90])
    familiar = Familiar(np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [5], [2], [1], [9]])

    def chord(degrees: float) -> float:
        return 2 * math.sin(math.radians(degrees) / 2)

    assert familiar.distances(np.array([[3.0, 0.0]])) == pytest.approx([chord(20)], abs=1e-4)  # third: 0, 10, 20
    own = [chord(30), chord(20), chord(20), chord(30), chord(80)]
    assert familiar.own_distances() == pytest.approx(own, abs=1e-4)


def test_the_threshold_by_hand() -> None:
    assert flagging_threshold(np.arange(19.0)) == 18  # the 19th of (19 + 1) * 0.95
    assert flagging_threshold(np.arange(18.0)) is None
    assert flagging_threshold(np.arange(100.0)[::-1]) == 95  # the 96th
    assert vars(flagged(np.array([1.0, 2.0, 3.0, 3.0]), 2.0))["share"] == 0.5
    assert flagged(np.zeros(0), 1.0).share is None


def test_separation_counts_pairs() -> None:
    familiar, strange = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    assert separation(familiar, strange) == pytest.approx((1.5 + 3) / 6)  # of six pairs; a tie is half a pair
    assert separation(familiar, np.zeros(0)) is None


def test_familiar_images_are_flagged_as_rarely_as_promised_and_strange_ones_are_found(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    splits = ["val"] * 400 + ["test"] * 2000
    targets = draws.integers(0, 2, 2400)
    features = draws.normal(size=(2400, 16)) + 3 * ((np.arange(16) // 8) == targets[:, None])
    evaluated = answered_run(tmp_path, splits, targets, features[:, :2])
    known = {f"{n}.png": features[n] for n in range(1000)}  # the rest are classified anew
    table = with_distances(evaluated.run, evaluated.predictions, unknown._compact(features[1000:]), known)
    assert table.columns.tolist().index("distance") == table.columns.tolist().index("energy") + 1
    found = unknown.section(type(evaluated)(**vars(evaluated) | {"predictions": table}))
    assert found["measure"] == "distance" and found["fitted_on"] == 400
    assert 0.03 < found["test"]["share"] < 0.07 and found["test"]["images"] == 2000
    bundle, familiar = read_bundle(evaluated.run.bundle), read_familiar(evaluated.run.bundle)
    assert bundle.distance_threshold == found["threshold"] and bundle.energy_threshold is not None
    assert familiar is not None and familiar.bank.shape == (400, 16)
    assert (familiar.distances(-features) > found["threshold"]).all()


def test_without_features_or_images_nothing_is_made_up(tmp_path: Path) -> None:
    logits, targets = np.zeros((18, 2)), np.zeros(18, int)
    evaluated = answered_run(tmp_path, ["val"] * 18, targets, logits)
    few = with_distances(evaluated.run, evaluated.predictions, np.ones((18, 4), np.float16), {})
    assert "distance" not in few and not (evaluated.run.bundle / FAMILIAR).exists()
    found = unknown.section(evaluated)
    assert found["measure"] is None and found["threshold"] is None
    evaluated = answered_run(tmp_path, ["val"] * 20, np.zeros(20, int), np.zeros((20, 2)))
    assert "distance" not in with_distances(evaluated.run, evaluated.predictions, None, {})
    assert unknown.section(evaluated)["measure"] == "energy"


@pytest.fixture
def own_run(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run in a workspace that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(trained.workspace.root, home, ignore=shutil.ignore_patterns("*.tmp", "*.lock"))
    monkeypatch.setenv("DARKROOM_HOME", str(home))
    return open_run(Workspace(home), trained.run.id)


def test_an_evaluation_notes_the_distance_of_every_image(own_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "FLAGGED", 0.2)  # of 15 validation images the 5 % of others cannot be told
    monkeypatch.setattr(unknown.flagging_threshold, "__defaults__", (0.2,))
    root = open_dataset(Workspace.default(), own_run.config.data.dataset).root
    report = evaluate_run(own_run, root)
    rows = read_predictions(own_run.folder)
    assert rows is not None and rows["distance"].notna().all() and report["unknown"]["measure"] == "distance"
    classifier = open_classifier(own_run.bundle)
    row = rows[rows["split"] == "test"].iloc[0]
    scores, unreadable = strangers.score(classifier, [root / row["path"], root / "gone.png"])
    assert unreadable == 1 and scores["distance"].tolist() == pytest.approx([row["distance"]], abs=2e-3)
    assert scores["energy"].tolist() == pytest.approx([row["energy"]], abs=1e-3)


def test_another_dataset_is_shown_to_a_model(own_run: Run, image_folder: Callable[..., Path]) -> None:
    other = index_path(Workspace.default(), str(image_folder("others", {"x": 5, "y": 7}, seed=9)), None)
    folder = own_run.folder / strangers.FOLDER / other.id
    folder.mkdir(parents=True)
    jobs.prepare(folder)
    assert strangers.main(own_run.folder, other.id) == 0
    assert strangers.asked(own_run) == [other.id]
    plain = strangers.shown(own_run, other.id)
    assert plain is not None and (plain.images, plain.unreadable, plain.name) == (12, 0, "others")
    assert plain.measure is None and plain.strange is None and plain.refused.flagged == 0
    note_trust(own_run.bundle, energy_threshold=-1e9)  # everything is stranger than that
    strange = strangers.shown(own_run, other.id)
    assert strange is not None and strange.strange is not None and strange.strange.flagged == 12
    note_trust(own_run.bundle, energy_threshold=1e9, abstention_threshold=1.0)
    unsure = strangers.shown(own_run, other.id)
    assert unsure is not None and unsure.strange is not None and unsure.strange.flagged == 0
    scores = pd.read_parquet(folder / strangers.SCORES)
    assert unsure.refused.flagged == (scores["confidence"] < 1).sum()
    (own_run.bundle / "model.safetensors").touch()
    assert strangers.shown(own_run, other.id) is None, "of another model"


def test_showing_images_can_be_cancelled(own_run: Run, image_folder: Callable[..., Path]) -> None:
    other = index_path(Workspace.default(), str(image_folder("others", {"x": 3, "y": 3})), None)
    folder = own_run.folder / strangers.FOLDER / other.id
    folder.mkdir(parents=True)
    jobs.prepare(folder)
    jobs.request_stop(folder)
    assert strangers.main(own_run.folder, other.id) == 0
    assert jobs.read_status(folder).state == "stopped" and strangers.shown(own_run, other.id) is None
