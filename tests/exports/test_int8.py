"""8-bit exports: calibrated on training images, a quarter of the size, and layers that suffer stay in float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from core.exports.graphs import plain_graph
from core.exports.int8 import Held
from core.exports.job import make_export
from core.exports.quantising import Quantiser, fewest_in_float, logits
from core.exports.registry import FORMATS
from core.files import read_json
from core.jobs import StatusWriter
from core.runs.store import Run
from tests.exports.conftest import SECONDS, Made


def _graph(path: Path, layers: Sequence[tuple[str, np.ndarray]], border: bool = False) -> Path:
    """1x1 convolutions in a row, then the mean over positions; with borders worked out from the image's size."""
    nodes, constants, name = [], [], "images"
    if border:
        constants += [
            numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0], np.int64), "none"),
            numpy_helper.from_array(np.array([3], np.int64), "last"),
        ]
        nodes += [
            helper.make_node("Shape", [name], ["shape"]),
            helper.make_node("Gather", ["shape", "last"], ["side"]),
            helper.make_node("Sub", ["side", "side"], ["zero"]),
            helper.make_node("Concat", ["none", "zero", "zero"], ["widths"], axis=0),
            helper.make_node("Pad", [name, "widths"], ["padded"]),
        ]
        name = "padded"
    for title, weight in layers:
        constants.append(numpy_helper.from_array(weight.astype(np.float32)[..., None, None], f"{title}.weight"))
        nodes.append(helper.make_node("Conv", [name, f"{title}.weight"], [f"{title}_out"], name=f"node_{title}"))
        name = f"{title}_out"
    nodes += [
        helper.make_node("GlobalAveragePool", [name], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
        helper.make_node("Identity", [name], ["last_features"]),
    ]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 4, 4])
    answers = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2]),
        helper.make_tensor_value_info("last_features", TensorProto.FLOAT, ["n", 2, 4, 4]),
    ]
    graph = helper.make_graph(nodes, "test", [given], answers, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    model.graph.node[0].metadata_props.add(key="written by", value="/home/somebody/network.py")
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(96, 3, 4, 4)).astype(np.float32)


def test_a_plain_graph_answers_the_same_and_works_out_no_borders(tmp_path: Path, images: np.ndarray) -> None:
    weights = np.random.default_rng(1).normal(size=(2, 3))
    path = _graph(tmp_path / "given.onnx", [("first", weights)], border=True)
    plain_graph(path, tmp_path / "plain.onnx")
    model = onnx.load(str(tmp_path / "plain.onnx"))
    assert {node.op_type for node in model.graph.node} <= {"Conv", "Pad", "GlobalAveragePool", "Flatten", "Reshape"}
    assert [one.name for one in model.graph.output] == ["logits"]
    assert b"/home/somebody" not in (tmp_path / "plain.onnx").read_bytes()
    assert np.array_equal(logits(path, images), logits(tmp_path / "plain.onnx", images))


def test_layers_that_8_bits_destroy_are_found_and_left_in_float(tmp_path: Path, images: np.ndarray) -> None:
    """A channel a thousand times as large as its neighbour leaves that without a step of its own in 8 bits."""
    random = np.random.default_rng(2)
    widened, narrowed = (
        np.array([[1000.0, 0, 0], [0, 1, 0], [0, 0, 1]]),
        np.array([[0.001, 0, 0], [0, 1, 0], [0, 0, 1]]),
    )
    layers = [("plain_one", np.eye(3)), ("wide", widened), ("narrow", narrowed), ("last", random.normal(size=(2, 3)))]
    quantiser = Quantiser(_graph(tmp_path / "given.onnx", layers), images, tmp_path)
    expected = logits(quantiser.plain, images)

    def error(in_float: Sequence[str]) -> float:
        quantiser.write(tmp_path / "int8.onnx", in_float)
        return float(np.abs(logits(tmp_path / "int8.onnx", images) - expected).max())

    assert error([]) > 0.2
    ranked = quantiser.by_harm(images, lambda done, total: None)
    assert {quantiser.title(layer) for layer in ranked[:2]} == {"wide", "narrow"}
    kept = fewest_in_float(ranked, lambda names: error(names) < 0.1)
    assert kept is not None and {quantiser.title(layer) for layer in kept} == {"wide", "narrow"}
    assert error(kept) < 0.1


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 6, 9, 10])
def test_as_few_layers_as_needed_stay_in_float(needed: int) -> None:
    ranked = [f"layer {number}" for number in range(10)]
    found = fewest_in_float(ranked, lambda kept: len(kept) >= needed)
    assert found == (ranked[:needed] if needed < 10 else None)  # with all of them in float it would be no INT8


def test_a_small_loss_on_validation_is_good_and_a_larger_one_is_not() -> None:
    assert Held(400, 0.98, 0.90, 0.896).is_good
    assert not Held(400, 0.98, 0.90, 0.894).is_good
    assert not Held(400, 0.97, 0.90, 0.90).is_good
    assert "90.0% were right in float32 and 89.4% in INT8" in Held(400, 0.98, 0.90, 0.894).sentence()


@pytest.fixture(scope="module")
def reports(made: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The reports of INT8 and of the three ways to OpenVINO, by format."""
    home = tmp_path_factory.mktemp("quantised") / "home"
    run: Run = made.copied(home).run
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DARKROOM_HOME", str(home))
        for key in ("onnx-int8", "openvino", "openvino-fp16", "openvino-int8"):
            folder = tmp_path_factory.mktemp("job")
            with StatusWriter(folder) as status:
                make_export(run, FORMATS[key], {}, status, SECONDS)
                status.update(state="finished")
            found[key] = read_json(run.folder / "exports" / key / "parity.json")
    return found


@pytest.mark.parametrize("key", ["openvino", "openvino-fp16"])
def test_openvino_answers_as_pytorch_does(reports: dict[str, dict], key: str) -> None:
    report = reports[key]
    assert report["ready"] and report["agreement"] == 1
    assert report["max_probability_gap"] < (1e-4 if key == "openvino" else 0.02)


@pytest.mark.parametrize("key", ["onnx-int8", "openvino-int8"])
def test_int8_is_checked_on_validation_images_and_judged_on_test_images(reports: dict[str, dict], key: str) -> None:
    report = reports[key]
    assert report["layers"] == 4 and report["calibration_images"] == 60
    assert report["validation"]["images"] == 15
    assert report["agreement"] >= 0.9 and report["size_bytes"] < reports["openvino"]["size_bytes"] / 1.5


def test_int8_is_a_quarter_of_the_size(reports: dict[str, dict], made: Made) -> None:
    float32 = read_json(made.package("onnx") / "parity.json")
    assert reports["onnx-int8"]["size_bytes"] < float32["size_bytes"] / 3
