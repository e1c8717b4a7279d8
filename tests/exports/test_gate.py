"""The gate lets out what answers as the trained model does, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import numpy_helper

from core.errors import DarkroomError, InputError
from core.evaluation.side_jobs import Cancelled
from core.exports import gate
from core.exports.exported import exports_folder, list_exports, open_export, read_export
from core.exports.format import Tolerance
from core.exports.gate import Replayed, judge, replay
from core.exports.job import make_export
from core.exports.reference import Reference, pytorch_reference
from core.exports.registry import FORMATS
from core.files import read_json, write_json
from core.inference.bundle import note_trust
from core.jobs import StatusWriter, request_stop
from core.preprocess import normalise
from tests.exports.conftest import PLAIN, SECONDS, Made

Spoil = Callable[[dict[str, Any], list[str]], None]


def _judged(made: Made, folder: Path, status: StatusWriter) -> gate.Judgement:
    source = made.source()
    reference = pytorch_reference(source, exports_folder(made.run), status)
    found = replay(folder, [source.root / path for path in reference.rows["path"]], status, SECONDS)
    return judge(reference, source.bundle.classes, found, FORMATS["onnx"].tolerance)


@pytest.mark.parametrize("key", PLAIN)
def test_the_very_weights_pass(made: Made, key: str) -> None:
    report = read_json(made.package(key) / "parity.json")
    assert report["ready"] and report["reasons"] == [] and report["differing"] == []
    assert report["agreement"] == 1 and report["same_label"] == report["num_images"] == 15
    assert 0 < report["max_probability_gap"] < 1e-4 and report["alone_gap"] < 1e-4
    assert report["accuracy_before"] == report["accuracy_after"]
    assert sum(row["images"] for row in report["classes"]) == 15
    for speed in (report["speed"], report["pytorch_speed"]):
        assert speed["single"]["batch_size"] == 1 and speed["batch"]["batch_size"] == 32
        assert 0 < speed["single"]["latency_ms_p50"] <= speed["single"]["latency_ms_p95"]
    assert made.package(key).with_name(f"{key}.zip").is_file()


def _swap(first: str, second: str) -> Spoil:
    def change(preprocess: dict[str, Any], _: list[str]) -> None:
        preprocess[first], preprocess[second] = preprocess[second], preprocess[first]

    return change


def _two_labels(_: dict[str, Any], labels: list[str]) -> None:
    labels[0], labels[1] = labels[1], labels[0]


@pytest.mark.parametrize(
    ("spoil", "channels", "named"),
    [
        (_swap("mean", "std"), "RGB", "A probability differs by up to"),
        (lambda preprocess, labels: None, "BGR", "A probability differs by up to"),
        (lambda preprocess, labels: preprocess.update(resize="crop"), "RGB", "A probability differs by up to"),
        (_two_labels, "RGB", "Top-1 agreement is"),
    ],
    ids=["mean and deviation", "channel order", "resize policy", "two labels"],
)
def test_a_spoiled_spec_is_refused_with_the_figure(
    made: Made, tmp_path: Path, spoil: Spoil, channels: str, named: str
) -> None:
    folder = tmp_path / "package"
    shutil.copytree(made.package("onnx"), folder)
    spec, labels = read_json(folder / "spec.json"), read_json(folder / "labels.json")
    spoil(spec["preprocess"], labels)
    write_json(folder / "spec.json", spec | {"channel_order": channels})
    write_json(folder / "labels.json", labels)
    (tmp_path / "job").mkdir()
    with StatusWriter(tmp_path / "job") as status:
        judged = _judged(made, folder, status)
    assert not judged.ready and judged.max_probability_gap > 1e-3
    assert any(reason.startswith(named) for reason in judged.reasons), judged.reasons
    assert judged.sentence.startswith("Refused.") and judged.differing
    assert judged.differing[0]["gap"] == pytest.approx(judged.max_probability_gap)
    assert judged.worst_image == judged.differing[0]["path"] or judged.agreement < 1


def test_other_weights_are_refused_and_get_no_zip(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made.copied(tmp_path / "home").run
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    graph = onnx.load(str(run.bundle / "model.onnx"))
    largest = max(graph.graph.initializer, key=lambda one: len(one.raw_data))
    values = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(-values, largest.name))
    onnx.save(graph, str(run.bundle / "model.onnx"))
    with StatusWriter(tmp_path) as status:
        report = make_export(run, FORMATS["onnx"], {}, status, SECONDS)
    assert not report["ready"] and report["lost"] > 0 and report["accuracy_after"] < report["accuracy_before"]
    assert any("Accuracy falls from" in reason for reason in report["reasons"])
    assert not (exports_folder(run) / "onnx.zip").exists()
    assert "Refused." in (exports_folder(run) / "onnx" / "README.md").read_text()


def test_figures_counted_by_hand() -> None:
    rows = pd.DataFrame({"path": ["a", "b", "c", "d", "e"], "label": ["x", "x", "y", "y", "x"]})
    before = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])
    logits = np.log(before).astype(np.float32)
    logits[4] = np.nan  # could not be read by PyTorch, so it does not count
    after = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8], [0.6, 0.4], [0.9, 0.1]], np.float32)
    swapped = Replayed(["y", "x"], after[:, ::-1], 0.0, {}, {})
    strict = judge(Reference(rows, logits, 1.0), ["x", "y"], swapped, Tolerance())
    assert (strict.num_images, strict.same_label, strict.agreement) == (4, 2, 0.5)
    assert strict.max_probability_gap == pytest.approx(0.3) and strict.worst_image == "d"
    assert strict.mean_probability_gap == pytest.approx((0.15 + 0.3) / 4)
    assert (strict.accuracy_before, strict.accuracy_after, strict.gained, strict.lost) == (1.0, 0.5, 0, 2)
    assert strict.classes == [
        {"label": "x", "images": 2, "right_before": 2, "right_after": 1},
        {"label": "y", "images": 2, "right_before": 2, "right_after": 1},
    ]
    assert [row["path"] for row in strict.differing] == ["d", "b"] and strict.differing[0]["after"] == "x"
    assert [reason.partition(" is ")[0] for reason in strict.reasons[:1]] == ["Top-1 agreement"]
    assert len(strict.reasons) == 3
    lenient = Tolerance(agreement=0.5, probability_gap=0.31, accuracy_drop=0.5)
    assert judge(Reference(rows, logits, 1.0), ["x", "y"], swapped, lenient).ready
    warm = judge(Reference(rows, logits, 1.0), ["x", "y"], replace(swapped, alone_gap=0.5), lenient)
    assert len(warm.reasons) == 1 and "share a batch" in warm.reasons[0]


def test_an_answer_that_is_missing_or_no_number_is_not_agreement() -> None:
    rows = pd.DataFrame({"path": ["a", "b"], "label": ["x", "y"]})
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    after = np.array([[0.9, 0.1], [np.nan, np.nan]], np.float32)
    anything = Tolerance(0, 1, 1)
    judged = judge(Reference(rows, logits, 1.0), ["x", "y"], Replayed(["x", "y"], after, 0.0, {}, {}), anything)
    assert not judged.ready and judged.same_label == 1 and judged.max_probability_gap == 1
    assert "gives no answer to 1" in judged.reasons[0] and judged.differing[0]["after"] == ""
    for labels in (["x", "z"], ["x"], ["x", "x"]):
        wrong = judge(Reference(rows, logits, 1.0), ["x", "y"], Replayed(labels, after, 0.0, {}, {}), anything)
        assert not wrong.ready and "labels are not the model's" in wrong.reasons[0]


def test_a_program_that_fails_is_told_of(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(made.package("onnx"), folder)
    (folder / "model.onnx").write_bytes(b"not a graph")
    image = next(made.images.rglob("*.png"))
    with StatusWriter(tmp_path) as status:
        with pytest.raises(DarkroomError, match=r"predict.py ended with status 1: .*model.onnx"):
            replay(folder, [image], status, SECONDS)
        request_stop(tmp_path)
        with pytest.raises(Cancelled):
            replay(made.package("onnx"), [image], status, SECONDS)


def test_cancelling_leaves_the_earlier_export(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = made.copied(tmp_path / "home")
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    before = (mine.package("onnx") / "parity.json").read_bytes()
    with StatusWriter(tmp_path) as status:
        request_stop(tmp_path)
        with pytest.raises(Cancelled):
            make_export(mine.run, FORMATS["onnx"], {}, status, SECONDS)
        with pytest.raises(InputError, match="has no option bits"):
            make_export(mine.run, FORMATS["onnx"], {"bits": 8}, status, SECONDS)
    assert (mine.package("onnx") / "parity.json").read_bytes() == before
    assert not list(exports_folder(mine.run).glob(".*"))


def test_a_badge_is_lost_when_something_changes(made: Made, tmp_path: Path) -> None:
    run = made.copied(tmp_path / "home").run
    folder = exports_folder(run) / "onnx"
    found = read_export(run, "onnx")
    assert found is not None and found.ready and [one.format.key for one in list_exports(run)] == list(PLAIN)
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    assert open_export(found)(normalise(pixels, made.source().bundle.spec)).shape == (2, 3)
    (folder / "spec.json").write_text((folder / "spec.json").read_text().replace("0.456", "0.457"))
    assert read_export(run, "onnx").problem == "spec.json was changed since it was checked."
    note_trust(run.bundle, abstention_threshold=0.9)
    assert "threshold was changed" in read_export(run, "onnx").problem
    write_json(run.folder / "export-onnx.json", read_json(run.folder / "export-onnx.json") | {"model": 1})
    assert "not checked against the model of now" in read_export(run, "onnx").problem
