"""Spoiled images: what each corruption does to pixels, figures of a model worked out by hand, and the job."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core import jobs
from core.errors import DarkroomError, InputError
from core.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from core.evaluation.robustness import ROBUSTNESS, chosen_rows, main, measure
from core.files import read_json, write_json
from core.inference.bundle import META, Bundle
from core.inference.classifier import Classifier
from core.preprocess import PreprocessSpec
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained

SPEC = PreprocessSpec(16, "squash", "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def picture(seed: int = 0, size: int = 32) -> np.ndarray:
    """Something with shapes and colours."""
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(40, 216, (16, 16, 3)).astype(np.uint8))
    return np.asarray(small.resize((size, size), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_each_severity_changes_more_and_the_same_way_every_time(corruption: object) -> None:
    images = [picture(seed) for seed in range(6)]
    changes = []
    for severity in SEVERITIES:
        spoiled = [corruption.apply(one, severity, (0, number)) for number, one in enumerate(images)]
        again = [corruption.apply(one, severity, (0, number)) for number, one in enumerate(images)]
        assert all(one.dtype == np.uint8 and one.shape == (32, 32, 3) for one in spoiled)
        assert all(np.array_equal(one, other) for one, other in zip(spoiled, again, strict=True))
        changes.append(
            np.mean([np.abs(one.astype(int) - image).mean() for one, image in zip(spoiled, images, strict=True)])
        )
    assert changes[0] > 0 and changes == sorted(changes)


def test_amounts_are_what_they_say() -> None:
    by_name = {one.name: one for one in CORRUPTIONS}
    grey = np.full((20, 20, 3), 100, np.uint8)
    assert by_name["lighter"].apply(grey, 1, (0,)).mean() == pytest.approx(126)  # 100 + 0.1 x 255, rounded to even
    assert by_name["darker"].apply(grey, 5, (0,)).mean() == 20
    assert by_name["noise"].apply(grey, 1, (0,)).std() == pytest.approx(0.04 * 255, rel=0.1)
    assert by_name["blur"].apply(grey, 5, (0,)).tolist() == grey.tolist()
    assert np.abs(by_name["rotation"].apply(grey, 5, (0,)).astype(int) - 100).max() == 0  # no corner turns black
    assert by_name["jpeg"].amount(2) == "quality 40"


def bright(folder: Path) -> Classifier:
    """Answers `day` where an image is lighter than 128 on average."""
    bundle = Bundle(folder, "none", ["day", "night"], SPEC, {}, None)

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        light = 100 * (images_NCHW.mean(axis=(1, 2, 3)) - 128 / 255)
        return np.column_stack([light, -light]).astype(np.float32)

    return Classifier(bundle, forward)


def test_figures_of_a_model_that_judges_by_brightness(tmp_path: Path) -> None:
    rows = []
    for number in range(20):
        for label, grey in (("night", 90), ("day", 200)):
            Image.new("RGB", (20, 14), (grey,) * 3).save(tmp_path / f"{label}{number}.png")
            rows.append((f"{label}{number}.png", label))
    (tmp_path / "day0.png").write_bytes(b"gone")
    seen: list[tuple[int, int]] = []
    found = measure(
        bright(tmp_path), tmp_path, pd.DataFrame(rows, columns=["path", "label"]), lambda *at: seen.append(at)
    )
    assert (found["images"], found["unreadable"]) == (39, 1)
    right = {(row["corruption"], row["severity"]): row["right"] for row in found["rows"]}
    assert right["none", 0] == 39
    # 90 + 25.5 is still night; 90 + 51 is not. 200 x 0.65 = 130 is still day, 200 x 0.5 is not.
    assert [right["lighter", severity] for severity in SEVERITIES] == [39, 19, 19, 19, 19]
    assert [right["darker", severity] for severity in SEVERITIES] == [39, 39, 20, 20, 20]
    assert all(right[name, severity] == 39 for name in ("blur", "jpeg", "rotation") for severity in SEVERITIES)
    assert seen[-1] == (40 * 31, 40 * 31)
    assert "Lighter (0.2 of the range added) is the first to hurt, at severity 2: 48.7 %" in found["sentence"]
    assert found["mean"] == pytest.approx(sum(row["right"] for row in found["rows"][1:]) / 30 / 39)


def test_none_that_can_be_read_is_said(tmp_path: Path) -> None:
    rows = pd.DataFrame({"path": ["a.png"], "label": ["day"]})
    with pytest.raises(InputError, match="can be read"):
        measure(bright(tmp_path), tmp_path, rows, lambda *_: None)


@pytest.fixture
def run(trained: Trained, workspace: Workspace) -> Run:
    """A finished run of this test's own."""
    shutil.copytree(
        trained.workspace.root, workspace.root, ignore=shutil.ignore_patterns("*.tmp", "cache"), dirs_exist_ok=True
    )
    return open_run(workspace, trained.run.id)


def asked(run: Run, **request: object) -> Path:
    """The folder of a job that is about to be carried out, as `ask` leaves it."""
    folder = ROBUSTNESS.folder(run)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", request)
    jobs.prepare(folder)
    return folder


def test_the_job_tests_the_run_and_its_answer_ends_with_the_model(run: Run) -> None:
    asked(run, images=9)
    assert ROBUSTNESS.answer(run) is None
    assert main(run.folder) == 0
    status, found = ROBUSTNESS.progress(run), ROBUSTNESS.answer(run)
    assert status is not None and status.state == "finished" and found is not None
    assert found["images"] == 9 and len(found["rows"]) == 31 and status.message == found["sentence"]
    clean = chosen_rows(run, 9)
    assert len(clean) == 9
    write_json(run.bundle / META, read_json(run.bundle / META) | {"weights_hash": "of others"})
    assert ROBUSTNESS.answer(run) is None, "figures of another model must not be shown"


def test_a_job_that_is_cancelled_keeps_the_earlier_answer(run: Run) -> None:
    folder = asked(run, images=9)
    jobs.request_stop(folder)
    assert main(run.folder) == 0
    status = ROBUSTNESS.progress(run)
    assert status is not None and status.state == "stopped" and ROBUSTNESS.answer(run) is None


def test_a_run_without_a_model_or_images_says_so(run: Run, tmp_path: Path) -> None:
    shutil.rmtree(run.bundle)
    with pytest.raises(DarkroomError, match="no model"):
        ROBUSTNESS.ask(run)
    (run.folder / "predictions.parquet").unlink()
    with pytest.raises(InputError, match="no test images"):
        chosen_rows(run, 9)
