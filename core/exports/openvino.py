"""The exports for Intel's OpenVINO, made from the ONNX graph: in float32, in float16 on disk, and in 8-bit numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from core.exports import int8
from core.exports.format import Format, Source, Tolerance
from core.jobs import StatusWriter

MODEL, XML = "openvino", "model.xml"


def _export(
    source: Source,
    folder: Path,
    options: Mapping[str, Any],
    status: StatusWriter,
    precision: Literal["float32", "float16", "int8"] = "float32",
) -> dict[str, Any]:
    import openvino

    from core.exports.graphs import plain_graph

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".openvino-") as aside:
        graph, about = Path(aside) / "graph.onnx", dict[str, Any]()
        if precision == "int8":
            about = int8.quantise(source, graph, Path(aside), int(options["weight_bits"]), status)
        else:
            plain_graph(source.onnx(Path(aside)), graph)
        # By the reader inside the runtime: `openvino.convert_model` would report its use over the network.
        model = openvino.Core().read_model(str(graph))
        (folder / MODEL).mkdir()
        openvino.save_model(model, str(folder / MODEL / XML), compress_to_fp16=precision == "float16")
    return about


def _missing() -> str | None:
    return None if find_spec("openvino") else "it needs the package openvino (pip install openvino)."


OPENVINO = Format(
    "openvino",
    "OpenVINO",
    "For Intel's processors and graphics, and often the fastest way on any x86 processor.",
    MODEL,
    "openvino_model",
    ("openvino",),
    _export,
    available=_missing,
)
HALF = Format(
    "openvino-fp16",
    "OpenVINO float16",
    "The same with weights of 16 bits: half the size on disk, as fast.",
    MODEL,
    "openvino_model",
    ("openvino",),
    partial(_export, precision="float16"),
    Tolerance(agreement=0.99, probability_gap=0.02, accuracy_drop=0.005),
    available=_missing,
)
OPENVINO_INT8 = Format(
    "openvino-int8",
    "OpenVINO INT8",
    "The weights of ONNX INT8 for OpenVINO: smaller and, on most x86 processors, faster.",
    MODEL,
    "openvino_model",
    ("openvino",),
    partial(_export, precision="int8"),
    int8.TOLERANCE,
    available=_missing,
    choices=int8.CHOICES,
)
FORMATS = (OPENVINO, HALF, OPENVINO_INT8)
