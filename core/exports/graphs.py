"""Makes a float32 ONNX graph plain before it is changed: one answer, constant borders, batch norms folded, no notes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from core.onnx_runtime import open_session

_LARGEST_SHARED = 65_536  # bytes: larger constants are never the same by chance, and comparing them takes time


def plain_graph(path: Path, into: Path) -> None:
    """Write the graph of `path`, input `images` and output `logits`, in its plainest form to `into`.

    Borders that a graph works out from the size of the images, as those of EfficientNet, become constants, which lets
    ONNX Runtime merge them into the convolutions; batch normalisations become part of those too.
    """
    import onnxscript.optimizer
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

    model = onnx.load(str(path), load_external_data=False)
    load_external_data_for_model(model, str(path.parent))
    keep_outputs(model, ("logits",))
    onnxscript.optimizer.remove_unused_nodes(model)
    _freeze_borders(model)
    model = onnxscript.optimizer.optimize(model)
    with tempfile.TemporaryDirectory() as aside:
        folded = Path(aside) / "folded.onnx"
        options = SessionOptions()
        options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC  # what every runtime understands
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3
        InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        model = onnx.load(str(folded))
    _name_nodes(model.graph.node)
    without_notes(model)
    into.write_bytes(model.SerializeToString())


def keep_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> None:
    """Drop the graph's other outputs."""
    kept = [one for one in model.graph.output if one.name in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def share_equal_constants(model: onnx.ModelProto) -> None:
    """Store small constants that occur more than once, such as rows of zeros, only once."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for one in model.graph.initializer:
        if one.ByteSize() > _LARGEST_SHARED:
            kept.append(one)
            continue
        value = numpy_helper.to_array(one)
        key = b"|".join((str(one.data_type).encode(), str(value.shape).encode(), value.tobytes()))
        if key in first:
            renamed[one.name] = first[key]
        else:
            first[key] = one.name
            kept.append(one)
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def without_notes(model: onnx.ModelProto) -> None:
    """Drop what exporters write beside the graph for people, such as the paths of their sources."""
    graph = model.graph
    noted: Iterable[object] = (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output)
    for one in noted:
        one.ClearField("metadata_props")  # type: ignore[attr-defined]
        one.ClearField("doc_string")  # type: ignore[attr-defined]
    graph.ClearField("value_info")


def _freeze_borders(model: onnx.ModelProto) -> None:
    """Make the widths of `Pad` constants where they are the same whatever and however many the images are."""
    constants = {one.name for one in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    worked_out = sorted(
        {node.input[1] for node in model.graph.node if node.op_type == "Pad" and node.input[1] not in constants}
    )
    if not worked_out:
        return
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in worked_out)
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "probe.onnx"
        path.write_bytes(probe.SerializeToString())
        session = open_session(path)
        shape = session.get_inputs()[0].shape[1:]
        seen = [session.run(worked_out, {"images": np.zeros((num, *shape), np.float32)}) for num in (1, 3)]
    for name, alone, together in zip(worked_out, *seen, strict=True):
        if np.array_equal(alone, together):
            maker = next(node for node in model.graph.node if name in node.output)
            maker.output[list(maker.output).index(name)] = f"{name}_worked_out"
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(alone), name))


def _name_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    """Give every node a name of its own: by it a quantiser is told which to leave."""
    taken: set[str] = set()
    for place, node in enumerate(nodes):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{place}"
        taken.add(node.name)
