"""The export for NVIDIA GPUs: an engine that TensorRT builds from the ONNX graph, for the very GPU it is built on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.errors import DarkroomError
from core.exports.format import BATCH, Format, Source
from core.jobs import StatusWriter
from core.runs.devices import gpus


def _export(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import tensorrt

    from core.exports.graphs import plain_graph

    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, tensorrt.Logger(tensorrt.Logger.ERROR))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tensorrt-") as aside:
        graph = Path(aside) / "graph.onnx"
        plain_graph(source.onnx(Path(aside)), graph)
        if not parser.parse(graph.read_bytes()):
            said = "; ".join(str(parser.get_error(place).desc()) for place in range(parser.num_errors))
            raise DarkroomError(f"TensorRT cannot read this network: {said}.", "Export it as ONNX instead.")
    settings = builder.create_builder_config()
    settings.clear_flag(tensorrt.BuilderFlag.TF32)  # 10 bits of a number in place of 23: not the same answers
    profile, side = builder.create_optimization_profile(), source.bundle.spec.size
    profile.set_shape("images", *((num, 3, side, side) for num in (1, BATCH, BATCH)))  # fewest, usual, most
    settings.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, settings)
    if engine is None:
        raise DarkroomError("TensorRT could not build an engine; the log has its words.", "Export it as ONNX instead.")
    (folder / TENSORRT.model).write_bytes(bytes(engine))
    return {"notes": [f"Built by TensorRT {tensorrt.__version__}; it runs with that version on this GPU's kind only."]}


def _missing() -> str | None:
    if not gpus():
        return "it needs an NVIDIA GPU, and there is none here."
    found = find_spec("tensorrt") is not None
    return None if found else "it needs the package tensorrt (pip install tensorrt)."


TENSORRT = Format(
    "tensorrt",
    "TensorRT",
    "For NVIDIA GPUs: the fastest way there, bound to the kind of GPU it was exported on.",
    "model.engine",
    "tensorrt_model",
    ("tensorrt", "torch"),
    _export,
    available=_missing,
)
