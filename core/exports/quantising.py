"""Turns a float32 ONNX graph into one of 8-bit numbers, all of it or but for some layers; knows no runs and no files
of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from core.exports.graphs import plain_graph, share_equal_constants, without_notes
from core.onnx_runtime import open_session

BATCH = 32
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# What else is worth it: else numbers would be turned to float and back around each. Softmax, sigmoid and the like stay
# in float, where they lose much and gain little.
_AROUND = ("Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape", "Flatten")
_PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")  # tells the quantiser that `plain_graph` was at work
Meter = Callable[[int, int], None]


class Quantiser:
    """One graph with the range of every number in it, found on calibration images.

    Static, per channel, with the steps in the graph (QDQ). Weights keep 7 of 8 bits unless told otherwise: on x86
    processors without VNNI two products of 8 bits are added up in 16, which overflows. Source: ONNX Runtime's
    documentation, "Quantize ONNX models", on reduce_range.

    Attributes:
        layers: names of the nodes with weights, from images to logits.
    """

    def __init__(self, graph: Path, images_NCHW: np.ndarray, folder: Path, weight_bits: int = 7) -> None:
        """
        Args:
            graph: input `images`, output `logits`, float32.
            images_NCHW: to calibrate with: float32 (N, 3, H, W), normalised; never test images.
            folder: of its own, for what it keeps meanwhile.
            weight_bits: 7 or 8.
        """
        self._folder, self._images, self._weight_bits = folder, images_NCHW, weight_bits
        self.plain = folder / "plain.onnx"
        plain_graph(graph, self.plain)
        model = onnx.load(str(self.plain))
        model.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
        self.plain.write_bytes(model.SerializeToString())
        self.layers, self._titles = _layers(model)

    def title(self, layer: str) -> str:
        """A layer's name for people: that of its weights, where those have one."""
        return self._titles[layer]

    def write(self, into: Path, in_float: Collection[str] = (), only: str | None = None) -> None:
        """The graph in 8 bits.

        Args:
            in_float: layers to leave as they are.
            only: a layer to change alone, for a look at what that does.
        """
        quantize_static(
            str(self.plain),
            str(into),
            _Reader(self._images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_WITH_WEIGHTS, *_AROUND],
            per_channel=True,
            reduce_range=self._weight_bits == 7,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=[] if only is None else [only],
            nodes_to_exclude=list(in_float),
            calibration_cache_path=self._folder / "ranges.json",  # the images go through it once
        )
        model = onnx.load(str(into))
        share_equal_constants(model)
        without_notes(model)
        into.write_bytes(model.SerializeToString())

    def by_harm(self, images_NCHW: np.ndarray, meter: Meter) -> list[str]:
        """The layers, first the one whose change to 8 bits alone moves the logits of these images most."""
        expected = logits(self.plain, images_NCHW)
        harm: dict[str, float] = {}
        alone = self._folder / "alone.onnx"
        for place, layer in enumerate(self.layers):
            meter(place, len(self.layers))
            self.write(alone, only=layer)
            harm[layer] = float(np.square(logits(alone, images_NCHW) - expected).mean())
        return sorted(harm, key=lambda layer: -harm[layer])


def fewest_in_float(ranked: Sequence[str], is_good: Callable[[Sequence[str]], bool]) -> list[str] | None:
    """As few of the worst layers as make the rest good in 8 bits; None where not even all but one do.

    Args:
        ranked: layers, worst first.
        is_good: of the layers kept in float. Taken for true of more where it is of fewer.
    """
    most = len(ranked) - 1
    bad, good = 0, 1
    while good <= most and not is_good(ranked[:good]):
        bad, good = good, (min(2 * good, most) if good < most else most + 1)
    if good > most:
        return None
    while good - bad > 1:
        middle = (good + bad) // 2
        bad, good = (bad, middle) if is_good(ranked[:middle]) else (middle, good)
    return list(ranked[:good])


def logits(graph: Path, images_NCHW: np.ndarray) -> np.ndarray:
    """What a graph says of images: float32 (N, classes)."""
    session = open_session(graph)
    starts = range(0, len(images_NCHW), BATCH)
    return np.concatenate(
        [session.run(["logits"], {"images": images_NCHW[start : start + BATCH]})[0] for start in starts]
    )


class _Reader(CalibrationDataReader):
    """Hands images to the quantiser, batch by batch."""

    def __init__(self, images_NCHW: np.ndarray) -> None:
        self._batches = iter(images_NCHW[start : start + BATCH] for start in range(0, len(images_NCHW), BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def _layers(model: onnx.ModelProto) -> tuple[list[str], dict[str, str]]:
    """Names of the nodes with constant weights, and what to call each."""
    constants = {one.name for one in model.graph.initializer}
    titles: dict[str, str] = {}
    for node in model.graph.node:
        weights = [name for name in node.input if name in constants]
        if node.op_type in _WITH_WEIGHTS and weights:
            named = next((name for name in weights if name.endswith(".weight")), None)
            titles[node.name] = node.name if named is None else named.removesuffix(".weight")
    return list(titles), titles
