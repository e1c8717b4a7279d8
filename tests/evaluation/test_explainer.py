"""A map of one image on demand: of the right class, checked, from a helper that may die or hang without harm."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation import explainer, saliency
from core.evaluation.explainer import explain_image, explain_later
from core.evaluation.explainer_helper import Explainer
from core.evaluation.side_jobs import model_stamp
from core.inference.bundle import read_bundle
from core.inference.classifier import open_classifier
from core.inference.export import load_network
from core.processes import identify
from core.runs.store import Run
from core.workspace import Workspace
from tests.conftest import Trained
from tests.waiting import wait_until


@pytest.fixture
def light(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run whose questions go to a helper without torch, and nothing left of it afterwards."""
    monkeypatch.setattr(explainer, "PROGRAM", "tests.evaluation.light_explainer")
    explainer.close_explainer()
    yield Run("some", workspace.runs / "some")
    explainer.close_explainer()


def _process(run: Run) -> int:
    """Who answers."""
    return int(explain_image(run, b"abc").label)


def test_bytes_go_there_and_back_and_one_helper_serves_all(light: Run) -> None:
    found = explain_image(light, b"abc\n\0" * 100_000)
    assert found.picture == b"\0\ncba" * 100_000 and found.way == str(light.folder) and found.scores.gain > 0.4
    several = [explain_later(light, bytes([number])) for number in range(20)]
    assert [one.result(30).picture for one in several] == [bytes([number]) for number in range(20)]
    assert {one.result().label for one in several} == {found.label}
    with pytest.raises(InputError, match="No class. Ask."):
        explain_image(light, b"", "odd")
    assert _process(light) == int(found.label), "a refusal must not end the helper"


def test_a_helper_that_ended_is_started_again(light: Run) -> None:
    first = _process(light)
    os.kill(first, 9)
    second = _process(light)
    assert second != first
    with pytest.raises(DarkroomError, match="ended without a word: out of ideas"):
        explain_image(light, b"", "die")
    assert _process(light) not in (first, second)


def test_a_helper_that_hangs_is_ended_and_those_who_wait_are_answered(light: Run) -> None:
    first = identify(_process(light))
    assert first is not None
    hanging = explain_later(light, b"", "hang")
    wait_until(hanging.running, "the question to be asked")
    behind = explain_later(light, b"next")
    with pytest.raises(DarkroomError, match=r"no map within 0\.05 s"):
        explain_image(light, b"", timeout_s=0.05)  # waits behind both, and gives up alone
    assert first.is_alive()
    explainer.close_explainer()
    with pytest.raises(DarkroomError, match="ended without a word"):
        hanging.result(30)
    assert behind.result(30).picture == b"txen" and not first.is_alive()


def test_the_end_of_who_asks_ends_the_helper(light: Run) -> None:
    helper = identify(_process(light))
    assert helper is not None
    process = explainer._HELPER._process
    assert process is not None and process.stdin is not None
    process.stdin.close()  # as the system does for a process that is killed
    wait_until(lambda: not helper.is_alive(), "the helper to end")


@pytest.fixture
def run(trained: Trained, tmp_path: Path) -> Run:
    """A copy of the trained run that a test may add to."""
    shutil.copytree(trained.run.folder, tmp_path / trained.run.id)
    return Run(trained.run.id, tmp_path / trained.run.id)


def test_the_map_is_of_the_class_asked_for_and_checked(trained: Trained, run: Run) -> None:
    image = sorted((trained.images / "fox").iterdir())[0]
    (answer,) = open_classifier(run.bundle).classify([image], ["fox"])
    maker = Explainer(run)
    found = maker.explain(image.read_bytes(), None)
    assert (found.label, found.confidence) == (answer.label, pytest.approx(answer.confidence, abs=1e-4))
    picture = Image.open(BytesIO(found.picture))
    assert picture.format == "JPEG" and picture.size == (128, 128)
    assert found.scores.whole == pytest.approx(found.confidence, abs=1e-4)
    assert found.fault == found.scores.fault(), "one map of a good model is judged by itself"
    other = maker.explain(image.read_bytes(), "cat")
    assert other.label == "cat" and other.confidence == pytest.approx(dict(answer.top)["cat"], abs=1e-4)
    with pytest.raises(InputError, match="knows no class 'owl'"):
        maker.explain(image.read_bytes(), "owl")
    with pytest.raises(ImageReadError, match="Not an image"):
        maker.explain(b"hello", None)


def test_what_the_runs_own_maps_found_is_used(trained: Trained, run: Run) -> None:
    ways = {Explainer(run).explain(_any(trained), None).way}
    (run.folder / "saliency.json").write_text(
        json.dumps({"model": model_stamp(run), "way": _another_way(run), "fault": "None of them can be believed."})
    )
    found = Explainer(run).explain(_any(trained), None)
    assert found.way == _another_way(run) and found.way not in ways
    assert found.fault == "None of them can be believed."
    grey = Image.open(BytesIO(found.picture)).convert("RGB")
    spread = max(max(pixel) - min(pixel) for pixel in grey.getdata())
    assert spread <= 8, "a map that is not believed is shown without colours"


def _any(trained: Trained) -> bytes:
    return sorted((trained.images / "dog").iterdir())[0].read_bytes()


def _another_way(run: Run) -> str:
    """Layers the maker would not choose by itself."""
    bundle = read_bundle(run.bundle)
    noise = torch.from_numpy(np.random.default_rng(1).random((2, 3, bundle.spec.size, bundle.spec.size), np.float32))
    return saliency.in_words(saliency.ways_of(saliency.spatial_layers(load_network(bundle), noise))[1])
