"""A run tested again on another run's images: what it has learned from is left out, the rest answered by its model."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from core.data.stored import DESCRIPTION
from core.errors import InputError
from core.evaluation import again_on
from core.evaluation.comparison import compare
from core.evaluation.pairing import pair_runs
from core.evaluation.predictions import PREDICTIONS
from core.evaluation.same_test import answers_of
from core.files import read_json, write_json
from core.inference.bundle import META
from core.runs.store import MANIFEST, Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.running import in_process
from tests.waiting import wait_until

NUM_LEARNED = 4


@dataclass(frozen=True)
class Two:
    """Runs of one model: B had `learned` of A's test images for training."""

    a: Run
    b: Run
    images: Path
    learned: list[str]


@pytest.fixture
def two(trained: Trained, workspace: Workspace, tmp_path: Path) -> Two:
    images = tmp_path / "photos"
    shutil.copytree(trained.images, images)
    shutil.copytree(trained.workspace.datasets, workspace.datasets, dirs_exist_ok=True)
    description = workspace.dataset(trained.run.config.data.dataset) / DESCRIPTION
    write_json(description, read_json(description) | {"root": str(images)})
    for name in ("a", "b"):
        shutil.copytree(trained.run.folder, workspace.run(name))
    a, b = open_run(workspace, "a"), open_run(workspace, "b")
    manifest = b.manifest()
    learned = manifest.loc[manifest["split"] == "test", "path"].head(NUM_LEARNED).tolist()
    manifest.loc[manifest["path"].isin(learned), "split"] = "train"
    manifest.to_parquet(b.folder / MANIFEST, index=False)
    rows = pd.read_parquet(b.folder / PREDICTIONS)
    rows[~rows["path"].isin(learned)].to_parquet(b.folder / PREDICTIONS, index=False)
    return Two(a, b, images, learned)


def evaluate(two: Two) -> again_on.Again:
    return again_on.evaluate_on(two.b, two.a, lambda done, total: None, lambda: False)


def test_what_it_learned_from_is_left_out_and_the_rest_is_what_its_model_says(two: Two) -> None:
    before = pair_runs(two.a, two.b)
    assert not before.is_possible and f"{NUM_LEARNED} in the first alone" in before.why_not
    num_test = len(answers_of(two.a))
    again = evaluate(two)
    assert (again.num_asked, again.num_seen, again.num_changed, again.num_unreadable) == (num_test, NUM_LEARNED, 0, 0)
    after = pair_runs(two.a, two.b)
    assert after.tested == "a" and f"{NUM_LEARNED} left out, as the run has learned" in after.note
    assert set(after.rows["path"]) == set(answers_of(two.a)["path"]) - set(two.learned)
    assert (after.rows["predicted_a"] == after.rows["predicted_b"]).all()  # it is the same model
    assert compare(after.rows).p_value == 1
    turned = pair_runs(two.b, two.a)
    assert turned.tested == "a" and len(turned.rows) == len(after.rows)


def test_a_file_that_changed_since_is_not_the_same_image_and_a_touched_one_is(two: Two) -> None:
    answers = answers_of(two.a)
    rest = answers[~answers["path"].isin(two.learned)]
    first, second, third = rest["path"].head(3)
    (two.images / first).write_bytes((two.images / two.learned[0]).read_bytes())
    os.utime(two.images / second, (1e9, 1e9))
    (two.images / third).unlink()
    assert evaluate(two).num_changed == 2
    rows = pair_runs(two.a, two.b).rows
    assert set(rest["path"]) - set(rows["path"]) == {first, third}


def test_another_model_or_another_test_makes_it_stale(two: Two) -> None:
    evaluate(two)
    assert again_on.answered(two.b, two.a) is not None
    os.utime(two.b.bundle / META, (1e9, 1e9))
    assert again_on.answered(two.b, two.a) is None
    evaluate(two)
    os.utime(two.a.folder / PREDICTIONS, (1e9, 1e9))
    assert again_on.answered(two.b, two.a) is None


def test_stopped_half_way_it_leaves_nothing(two: Two) -> None:
    with pytest.raises(again_on.Cancelled):
        again_on.evaluate_on(two.b, two.a, lambda done, total: None, lambda: True)
    assert again_on.answered(two.b, two.a) is None


def test_nothing_new_to_it_is_refused_and_so_is_a_run_without_test(two: Two) -> None:
    manifest = two.b.manifest()
    manifest.assign(split="train").to_parquet(two.b.folder / MANIFEST, index=False)
    with pytest.raises(InputError, match="has learned from"):
        evaluate(two)
    (two.a.folder / PREDICTIONS).unlink()
    with pytest.raises(InputError, match="not been tested"):
        again_on.ask(two.b, two.a)


def test_the_command_line_says_the_same(two: Two) -> None:
    refused = in_process("compare", "a", "b")
    assert refused.status == 2 and "--test-again" in refused.errors and "4 in the first alone" in refused.errors
    done = in_process("compare", "a", "b", "--test-again")
    assert done.status == 0, done.errors
    assert done.result["verdict"].startswith("No difference: A and B answer the same of these")
    assert [(row["id"], row["difference"], row["p_value"]) for row in done.result["runs"]] == [("b", 0, 1)]
    assert "left out, as the run has learned" in done.result["notes"]["B"]
    assert in_process("compare", "a", "a").status == 2


def test_as_a_job_it_waits_for_another_can_be_cancelled_and_ends_with_its_answers(two: Two) -> None:
    from filelock import FileLock

    with FileLock(Workspace.default().cache / again_on.TURN):
        again_on.ask(two.b, two.a)
        wait_until(lambda: _phase(two) == "waiting", "the job to wait for its turn")
        again_on.cancel(two.b, two.a)
        wait_until(lambda: _ended(two), "the job to end")
        status = again_on.progress(two.b, two.a)
        assert status is not None and status.state == "stopped"
    again_on.ask(two.b, two.a)
    wait_until(lambda: _ended(two), "the job to end")
    status = again_on.progress(two.b, two.a)
    assert status is not None and status.state == "finished", status
    assert pair_runs(two.a, two.b).is_possible


def _phase(two: Two) -> str:
    status = again_on.progress(two.b, two.a)
    return "" if status is None else status.phase


def _ended(two: Two) -> bool:
    status = again_on.progress(two.b, two.a)
    return status is not None and status.ended
