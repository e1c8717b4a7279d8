"""Groups of runs over seeds and shares of the images, and what is read from them, worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.config import SplitConfig, TrainConfig, build_config
from core.data.splits import assign_splits, class_table, divide, take_share
from core.errors import InputError
from core.files import write_json
from core.runs import series as rooms
from core.runs.listing import run_table
from core.runs.more_images import fit_line, forecast
from core.runs.series import (
    Series,
    all_series,
    by_share,
    learning_curve,
    measured,
    members,
    num_training_images,
    repeat,
)
from core.runs.spread import spread
from core.runs.store import REPORT, Run, create_run
from core.workspace import Workspace
from tests.data.test_splits import table as manifest_of


def divided(counts: dict[str, int]) -> pd.DataFrame:
    return assign_splits(manifest_of(counts), SplitConfig())


def trained(workspace: Workspace, **settings: Any) -> Run:
    """A run as it lies on disk when it was tested, without the training."""
    config = build_config({"data.dataset": "nowhere", **settings}, "quick")
    run = create_run(workspace, config, divided({"cat": 100, "dog": 60}), {"leaks": {"num_groups": 0}})
    note_test(run, 0.9)
    return run


def note_test(run: Run, accuracy: float) -> None:
    interval = [accuracy - 0.05, accuracy + 0.05]
    report = {"test_accuracy": accuracy, "test_accuracy_interval": interval, "num_test": 24}
    write_json(run.folder / REPORT, report)


@pytest.fixture
def not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are created and not trained: what a group consists of is tested here, the training elsewhere."""
    monkeypatch.setattr(rooms, "start_run", create_run)


def test_a_smaller_share_is_a_part_of_every_larger_one_of_its_seed() -> None:
    whole = divided({"a": 200, "b": 41, "c": 3})
    before: set[str] = set()
    for share in (0.001, 0.1, 0.25, 0.5, 0.999, 1):
        part = take_share(whole, share, seed=3)
        kept = set(part.loc[part["split"] == "train", "path"])
        assert before <= kept
        before = kept
    assert part.equals(whole)


def test_each_class_keeps_its_share_and_validation_and_test_stay_whole() -> None:
    whole = divided({"a": 200, "b": 40, "c": 3})
    part = take_share(whole, 0.25, seed=0)
    # 200 * 0.7 = 140 train -> 35; 40 -> 28 -> 7; c has one, and keeps it
    assert class_table(part)[["train", "val", "test"]].to_numpy().tolist() == [[35, 30, 30], [7, 6, 6], [1, 1, 1]]
    held_out = whole["split"] != "train"
    assert (part["split"][held_out] == whole["split"][held_out]).all()
    assert (whole["split"] == "train").sum() == 169  # the table that came in is as it was


def test_the_seed_draws_the_part_whatever_the_order_of_the_rows() -> None:
    whole = divided({"a": 100, "b": 100})
    kept = [set(part.loc[part["split"] == "train", "path"]) for part in (take_share(whole, 0.5, s) for s in (0, 0, 1))]
    shuffled = take_share(whole.sample(frac=1, random_state=5), 0.5, 0)
    assert kept[0] == kept[1] == set(shuffled.loc[shuffled["split"] == "train", "path"])
    assert 50 < len(kept[0] - kept[2]) + len(kept[2] - kept[0]) < 140  # of 70 and 70


def test_a_run_divided_with_a_share_says_what_was_left_out(workspace: Workspace, image_folder: Any) -> None:
    from core.data.datasets import index_path

    dataset = index_path(workspace, image_folder(counts={"cat": 20, "dog": 20}))
    config = TrainConfig.model_validate({"data": {"dataset": dataset.id, "train_share": 0.5}})
    division = divide(workspace, config)
    assert division.leaks.num_left_out == 14 and division.leaks.num_set_aside == 0
    assert "14 training images left out by data.train_share" in division.leaks.sentence()


@pytest.mark.usefixtures("not_started")
def test_repeats_differ_in_their_seed_alone_and_share_their_images(workspace: Workspace) -> None:
    first = trained(workspace, **{"runtime.seed": 7})
    series = repeat(workspace, first, 3)
    rows = members(run_table(workspace), series)
    assert rows["seed"].tolist() == [7, 8, 9, 10]
    runs = [Run(run_id, workspace.run(run_id)) for run_id in rows["id"]]
    plain = [run.config.model_dump() | {"runtime": None} for run in runs]
    assert all(config == plain[0] for config in plain)
    assert all(run.manifest().equals(first.manifest()) for run in runs)
    assert repeat(workspace, first, 2, series) == series
    assert members(run_table(workspace), series)["seed"].tolist() == [7, 8, 9, 10, 11, 12]
    assert all_series(run_table(workspace), "seeds", first.id) == [series]
    assert all_series(run_table(workspace), "curve") == []


@pytest.mark.usefixtures("not_started")
def test_a_learning_curve_is_runs_with_parts_of_the_images_tested_on_the_same(workspace: Workspace) -> None:
    first = trained(workspace)
    series = learning_curve(workspace, first, take_share, (0.5, 1, 0.1), num_repeats=2)
    rows = members(run_table(workspace), series)
    assert list(zip(rows["share"], rows["seed"], strict=True)) == [
        (0.1, 0), (0.1, 1), (0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1)
    ]  # fmt: skip
    assert first.id in set(rows["id"])  # the run itself is the first of those with all images
    images = [num_training_images(workspace, run_id) for run_id in rows["id"]]
    assert images == [11, 11, 56, 56, 112, 112]  # cat 70 -> 7 and 35, dog 42 -> 4 and 21
    test_images = {
        tuple(manifest.loc[manifest["split"] == "test", "path"])
        for manifest in (Run(run_id, workspace.run(run_id)).manifest() for run_id in rows["id"])
    }
    assert len(test_images) == 1
    small = Run(rows["id"][0], workspace.run(rows["id"][0]))
    assert small.data()["leaks"] == {"num_groups": 0, "num_left_out": 101}
    assert len(measured(rows)) == 1


def test_the_points_of_a_curve_by_hand() -> None:
    rows = pd.DataFrame({"share": [0.5, 0.5, 1.0], "images": [56, 56, 112], "test_accuracy": [0.8, 0.9, 0.95]})
    points = by_share(rows)
    assert points[["share", "images", "runs"]].to_numpy().tolist() == [[0.5, 56, 2], [1.0, 112, 1]]
    assert points["mean"].tolist() == pytest.approx([0.85, 0.95])
    assert points["std"][0] == pytest.approx(0.1 / math.sqrt(2)) and math.isnan(points["std"][1])


@pytest.mark.usefixtures("not_started")
def test_groups_that_cannot_be_are_refused_and_start_nothing(workspace: Workspace) -> None:
    first = trained(workspace)
    part = trained(workspace, **{"data.train_share": 0.5})
    for attempt in (
        lambda: learning_curve(workspace, first, take_share, (1.0,)),
        lambda: learning_curve(workspace, first, take_share, (0.0, 0.5)),
        lambda: learning_curve(workspace, first, take_share, num_repeats=30),
        lambda: learning_curve(workspace, part, take_share),
        lambda: repeat(workspace, part, 2),
        lambda: repeat(workspace, first, 0),
    ):
        with pytest.raises(InputError):
            attempt()
    assert len(run_table(workspace)) == 2
    assert not any(run_table(workspace)["tags"])


def test_tags_of_others_name_no_group() -> None:
    assert Series.of_tag("seeds:3f") == Series("seeds", "3f")
    assert Series.of_tag("sweep:3f") is Series.of_tag("seeds:") is Series.of_tag("my favourites") is None


def test_spread_by_hand() -> None:
    found = spread([0.90, 0.92, 0.94])
    assert found is not None
    assert (found.mean, found.std) == pytest.approx((0.92, 0.02))
    # t of 2 degrees of freedom is 4.303: 4.303 * 0.02 / sqrt 3 = 0.04969; 4.303 * 0.02 * sqrt 2 = 0.1217
    assert (found.low, found.high) == pytest.approx((0.87031, 0.96969), abs=1e-5)
    assert found.chance == pytest.approx(0.12171, abs=1e-5)
    assert "Over 3 seeds test accuracy is 92.0 % on average" in found.sentence()
    assert spread([0.9]) is None and spread([]) is None


def test_the_table_of_students_t_agrees_with_scipy() -> None:
    from scipy.stats import t

    for num in range(2, 40):
        found = spread([0.5] * (num - 1) + [0.51])
        assert found is not None
        assert found.chance == pytest.approx(t.ppf(0.975, num - 1) * found.std * math.sqrt(2), rel=0.002)


def test_the_line_agrees_with_numpys() -> None:
    rng = np.random.default_rng(2)
    x, y, weights = rng.normal(size=6), rng.normal(size=(1, 6)), rng.uniform(0.5, 2, (1, 6))
    slope, level = fit_line(x, y, weights)
    assert (slope[0], level[0]) == pytest.approx(np.polyfit(x, y[0], 1, w=np.sqrt(weights[0])))


def test_a_power_law_is_found_again_and_continued() -> None:
    images = [100, 250, 500, 1000]
    accuracies = [1 - 2 * n**-0.5 for n in images]  # error 0.2, 0.126, 0.089, 0.063
    found = forecast(images, accuracies, [20_000] * 4)
    assert found is not None
    assert found.exponent == pytest.approx(0.5, abs=0.005)
    assert found.num_images == 2000
    assert found.accuracy == pytest.approx(1 - 2 * 2000**-0.5, abs=0.001)
    assert found.gain_low < found.gain < found.gain_high
    assert found.gain == pytest.approx(2 * (1000**-0.5 - 2000**-0.5), abs=0.001)
    said = found.sentence()
    assert said.startswith("More images would help: with 2,000 training images") and "extrapolation" in said
    ahead = found.curve[found.curve["extrapolated"]]["images"]
    assert ahead.min() > 1000 and ahead.max() == pytest.approx(2000)


def test_a_flat_curve_promises_nothing_and_a_noisy_one_says_it_cannot_tell() -> None:
    flat = forecast([100, 250, 500, 1000], [0.9] * 4, [20_000] * 4)
    assert flat is not None and flat.sentence().startswith("More images would hardly help")
    noisy = forecast([100, 250, 500, 1000], [0.85, 0.9, 0.86, 0.9], [50] * 4)
    assert noisy is not None and noisy.sentence().startswith("These runs cannot tell")


def test_two_sizes_are_no_curve_and_no_error_is_no_trouble() -> None:
    assert forecast([100, 200, 200], [0.8, 0.9, 0.9], [50] * 3) is None
    perfect = forecast([100, 200, 400], [0.9, 1.0, 1.0], [50] * 3)
    assert perfect is not None and 0.9 < perfect.accuracy < 1 and perfect.high <= 1


def test_the_interval_of_the_extrapolation_holds_the_truth_about_95_times_of_100() -> None:
    rng = np.random.default_rng(11)
    images, num_test, held = [100, 250, 500, 1000], 1000, 0
    truth = 1 - 2 * 2000**-0.5
    for trial in range(60):
        wrong = rng.binomial(num_test, [2 * n**-0.5 for n in images])
        found = forecast(images, (1 - wrong / num_test).tolist(), [num_test] * 4, seed=trial)
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 52


def test_runs_that_were_not_tested_are_not_measured(workspace: Workspace, tmp_path: Path) -> None:
    assert measured(members(run_table(workspace), Series("seeds", "none"))).empty
