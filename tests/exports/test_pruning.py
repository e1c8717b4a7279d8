"""A pruned run is an ordinary run: the same images, evaluated, exported, and honest about what it gained."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.evaluation.predictions import read_predictions
from core.exports.pruning import PrunedRun, pruned_config, pruned_runs, start_pruned
from core.inference.bundle import read_bundle
from core.inference.classifier import open_classifier
from core.runs.about import read_about
from core.runs.store import Run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.waiting import wait_until


def test_a_pruned_run_learns_on_and_says_what_it_gained(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked_jobs: None
) -> None:
    home = Workspace(tmp_path / "home")
    shutil.copytree(trained.workspace.root, home.root)
    monkeypatch.setenv("DARKROOM_HOME", str(home.root))
    origin = Run(trained.run.id, home.run(trained.run.id))
    run = start_pruned(home, origin, 0.5, epochs=2)
    wait_until(lambda: run.status.ended, "the pruned run ends")
    assert run.status.state == "finished", run.log_tail()
    assert f"pruned:{origin.id}" in read_about(run).tags

    tested = [read_predictions(one.folder).query("split == 'test'") for one in (origin, run)]  # type: ignore[union-attr]
    assert tested[0]["path"].tolist() == tested[1]["path"].tolist()
    weights, graph = (open_classifier(run.bundle, engine) for engine in ("torch", "onnx"))  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    assert np.allclose(weights.logits(pixels), graph.logits(pixels), atol=1e-4)

    (found,) = pruned_runs(home, origin)
    assert (found.run.id, found.share, found.by, found.state) == (run.id, 0.5, "channels", "finished")
    assert found.parameters is not None and found.parameters[1] < found.parameters[0] / 3
    assert found.size_bytes is not None and found.size_bytes[1] < found.size_bytes[0] / 2
    assert found.accuracy == tuple(one.report()["test_accuracy"] for one in (origin, run))  # type: ignore[index]
    assert "times smaller" in found.sentence() and "points" in found.sentence()
    with pytest.raises(InputError, match="pruned already"):
        pruned_config(run, 0.5, "channels", 2)


def test_what_cannot_be_pruned_is_refused_before_a_run_is_made(trained: Trained) -> None:
    for share, words in ((0.0, "leaves the network as it is"), (1.0, "model.prune")):
        with pytest.raises(InputError, match=words):
            pruned_config(trained.run, share, "channels", 2)
    config = pruned_config(trained.run, 0.5, "weights", 2)
    assert (config.model.weights_from, config.model.tune, config.optim.epochs) == (trained.run.id, "all", 2)
    assert "pruned" not in read_bundle(trained.run.bundle).summary


@pytest.mark.parametrize(
    ("speeds", "sizes", "accuracies", "words"),
    [
        ((100.0, 250.0), (400, 100), (0.90, 0.88), "4.0 times smaller, 2.5 times as fast, test accuracy -2.0 points."),
        ((100.0, 103.0), (400, 400), (0.90, 0.91), "No smaller as a file, no faster, test accuracy +1.0 points."),
        ((100.0, 80.0), (400, 390), (None, None), "No smaller as a file, slower (0.80 times as fast)."),
        (None, None, (0.9, None), ""),
    ],
)
def test_no_gain_is_said_too(
    trained: Trained,
    speeds: tuple[float, float] | None,
    sizes: tuple[int, int] | None,
    accuracies: tuple[float | None, float | None],
    words: str,
) -> None:
    blank = PrunedRun(trained.run, 0.5, "weights", "finished", accuracies, None, None, None, None, None)
    assert dataclasses.replace(blank, images_per_s=speeds, size_bytes=sizes).sentence() == words
