"""What a slow look at a model found is of that model: it stays when the run is copied, and goes when it learns on."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import load_file

from core.evaluation.side_jobs import SideJob, model_stamp
from core.files import read_json, write_json
from core.inference.bundle import META, read_bundle, write_bundle
from core.runs.store import Run
from tests.conftest import Trained

JOB = SideJob("look", "no.such.program", "The look")


def test_an_answer_is_kept_by_a_copy_of_the_run_and_lost_with_other_weights(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.run.folder, tmp_path / "run", copy_function=shutil.copyfile)  # with other times of files
    run = Run("run", tmp_path / "run")
    write_json(run.folder / "look.json", {"found": 3, "model": model_stamp(trained.run)})
    assert JOB.answer(run) == {"found": 3, "model": model_stamp(run)}
    bundle = read_bundle(run.bundle)
    weights = load_file(bundle.weights)
    weights[next(iter(weights))].flat[0] += 1
    write_bundle(run.bundle, weights, bundle.architecture, bundle.classes, bundle.spec, bundle.summary)
    assert JOB.answer(run) is None


def test_a_bundle_of_an_earlier_version_is_known_by_its_time(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.run.folder, tmp_path / "run")
    run = Run("run", tmp_path / "run")
    meta = read_json(run.bundle / META)
    del meta["weights_hash"]
    write_json(run.bundle / META, meta)
    assert model_stamp(run) == read_bundle(run.bundle).weights.stat().st_mtime_ns
