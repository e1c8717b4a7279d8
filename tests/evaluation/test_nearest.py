"""Beside each mistake the training images nearest to it: by hand, by a plain search, and as a job on a real run."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from core import jobs
from core.evaluation import nearest
from core.evaluation.nearest import NEAREST, main, read_nearest
from core.evaluation.predictions import read_predictions, write_predictions
from core.files import write_json
from core.inference.bundle import ONNX
from core.inference.classifier import open_classifier
from core.preprocess import read_pixels
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.conftest import Trained


def test_the_nearest_of_many_are_those_of_a_plain_search() -> None:
    generator = np.random.default_rng(0)
    wanted, known = generator.normal(2, 1, (7, 5)), generator.normal(2, 1, (40, 5))
    alike, places = nearest._nearest(*nearest._centred(wanted, known), 3)
    mean = known.mean(axis=0)
    for row, (near, cosines) in enumerate(zip(places, alike, strict=True)):
        a, b = wanted[row] - mean, known - mean
        expected = (b @ a) / np.linalg.norm(b, axis=1) / np.linalg.norm(a)
        order = np.argsort(-expected)[:3]
        assert near.tolist() == order.tolist() and cosines == pytest.approx(expected[order], abs=1e-5)


def test_with_fewer_training_images_than_are_shown_all_come() -> None:
    alike, places = nearest._nearest(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)[::-1].copy(), 9)
    assert places.tolist() == [[1, 0], [0, 1]] and alike.tolist() == [[1, 0], [1, 0]]


@pytest.fixture
def run(trained: Trained, workspace: Workspace) -> Run:
    """A run of this test's own, four of its answers turned into mistakes."""
    ignored = shutil.ignore_patterns("*.tmp", "cache")
    shutil.copytree(trained.workspace.root, workspace.root, ignore=ignored, dirs_exist_ok=True)
    run = open_run(workspace, trained.run.id)
    rows = read_predictions(run.folder)
    assert rows is not None
    some = rows.index[rows["split"] == "test"][:4]
    rows.loc[some, "predicted"] = np.where(rows.loc[some, "label"] == "cat", "dog", "cat")
    write_predictions(run.folder, rows)
    return run


def carried_out(run: Run) -> int:
    """The job as `ask` leaves it for the program, and the program's exit status."""
    folder = NEAREST.folder(run)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "request.json", {})
    jobs.prepare(folder)
    return main(run.folder)


def test_the_job_finds_training_images_by_the_networks_own_features(run: Run, trained: Trained) -> None:
    assert read_nearest(run) is None
    assert carried_out(run) == 0
    found, images = read_nearest(run), run.manifest().set_index("path")
    assert found is not None and len(found.beside) == found.num_mistakes == found.all_mistakes >= 4
    assert found.num_training == (images["split"] == "train").sum() and found.left_out() == ""
    for path, near in found.beside.items():
        assert images.loc[path, "split"] == "test" and len(near) == nearest.SHOWN
        assert (images.loc[[one.path for one in near], "split"] == "train").all()
        distances = [one.distance for one in near]
        assert distances == sorted(distances) and 0 <= distances[0] <= 2
    # The answers were turned and the images were not, so the network still sees its own class in them.
    labels = [images.loc[near[0].path, "label"] == images.loc[path, "label"] for path, near in found.beside.items()]
    assert sum(labels) >= len(labels) - 1
    path = next(iter(found.beside))
    classifier = open_classifier(run.bundle)
    names = [path, *images.index[images["split"] == "train"]]
    pixels = np.stack([read_pixels(trained.images / name, classifier.spec) for name in names])
    features = classifier.logits_and_features(pixels)[1]
    assert features is not None
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    moved = unit - unit[1:].mean(axis=0)
    cosines = moved[1:] @ moved[0] / np.linalg.norm(moved[1:], axis=1) / np.linalg.norm(moved[0])
    expected = pd.Series(1 - cosines, names[1:]).sort_values()
    assert [one.distance for one in found.beside[path]] == pytest.approx(expected.head(nearest.SHOWN), abs=2e-3)


def test_of_many_a_part_is_looked_at_and_that_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "MOST_MISTAKES", 2)
    monkeypatch.setattr(nearest, "MOST_TRAINING", 10)
    assert carried_out(run) == 0
    found = read_nearest(run)
    assert found is not None and len(found.beside) == 2
    training = (run.manifest()["split"] == "train").sum()
    assert found.left_out() == f"Looked at 2 of {found.all_mistakes} mistakes and 10 of {training} training images."


def test_a_graph_of_an_earlier_darkroom_is_made_to_give_features(run: Run) -> None:
    assert carried_out(run) == 0
    by_graph = read_nearest(run)
    import onnx

    graph = onnx.load(run.bundle / ONNX)
    del graph.graph.output[1:], graph.graph.node[-1:]
    onnx.save(graph, run.bundle / ONNX)
    before = (run.bundle / ONNX).read_bytes()
    assert carried_out(run) == 0
    by_copy = read_nearest(run)
    assert (run.bundle / ONNX).read_bytes() == before
    assert by_graph is not None and by_copy is not None
    for path, near in by_graph.beside.items():
        assert [one.distance for one in by_copy.beside[path]] == pytest.approx([one.distance for one in near], abs=2e-3)


def test_without_a_mistake_it_says_so(run: Run) -> None:
    rows = read_predictions(run.folder)
    assert rows is not None
    write_predictions(run.folder, rows.assign(predicted=rows["label"]))
    assert carried_out(run) == 2
    status = NEAREST.progress(run)
    assert status is not None and "no mistake" in status.message and read_nearest(run) is None
