"""From trained weights to an ONNX graph in the bundle, let in only once it agrees with them image by image."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from core.config import ModelConfig
from core.errors import DarkroomError, InputError
from core.files import write_bytes
from core.inference.bundle import ONNX, Bundle, record_parity
from core.inference.classifier import FEATURES, Engine, onnx_forward
from core.inference.parity import compare
from core.training.backbone.onnx_graph import export_onnx, join_head
from core.training.models import Network, build_network
from core.training.models.pruning import shrink_to


def load_network(bundle: Bundle) -> Network:
    """The trained network on the CPU, in evaluation mode.

    Raises:
        DarkroomError: the weights do not fit the architecture the bundle names.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    blank = ModelConfig.model_construct(
        architecture=bundle.architecture, weights="random", tune="all", dropout=0.0, head_units=bundle.head_units
    )
    try:
        network, weights = build_network(blank, len(bundle.classes), bundle.spec.size), load_file(bundle.weights)
        if bundle.summary.get("pruned"):
            shrink_to(network, weights)
        network.load_state_dict(weights)
    except (InputError, KeyError, RuntimeError, OSError, SafetensorError) as error:
        # torch names every tensor that does not fit, which may be hundreds of lines
        why = (
            f"they do not fit {bundle.architecture} as it is built now"
            if isinstance(error, RuntimeError)
            else str(error).rstrip(".")
        )
        raise DarkroomError(f"The weights in {bundle.folder} cannot be loaded: {why}.", "Retrain the run.") from error
    return network.eval()


def torch_forward(bundle: Bundle) -> Engine:
    """The weights themselves as the network, for comparing and for bundles without a graph."""
    return _Weights(load_network(bundle))


class _Weights:
    def __init__(self, network: Network) -> None:
        self._network = network.to(memory_format=torch.channels_last)  # twice as fast for depthwise layers

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        return self.with_features(images_NCHW)[0]

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        *before, last = self._network.head
        with torch.inference_mode():
            features = self._network.backbone(torch.from_numpy(images_NCHW).to(memory_format=torch.channels_last))
            for layer in before:
                features = layer(features)
            return last(features).numpy(), features.numpy()


def add_onnx(bundle: Bundle, pixel_batches: Iterable[np.ndarray], backbone_graph: Path | None = None) -> Bundle:
    """Export, compare on the given images, and only then rename the graph into the bundle.

    Args:
        pixel_batches: uint8 (N, size, size, 3) from `core.preprocess.read_pixels`, the validation images.
        backbone_graph: an ONNX graph of the very same frozen backbone, if there is one, to spare a second export.

    Returns:
        The bundle with the outcome noted; without a graph where it disagrees or the export failed.
    """
    candidate = bundle.folder / f".candidate-{ONNX}"
    try:
        network = load_network(bundle)
        if backbone_graph is None:
            size = bundle.spec.size
            export_onnx(network, (3, size, size), candidate, "images", "logits")
        else:
            join_head(backbone_graph, network.head, network.num_features, candidate)
        give_features(candidate)
        parity = compare(torch_forward(bundle), onnx_forward(candidate), bundle.spec, pixel_batches)
        if parity.agrees:
            os.replace(candidate, bundle.folder / ONNX)
        return record_parity(bundle, asdict(parity))
    except DarkroomError:
        raise
    except Exception as error:  # exporters fail in countless ways; a trained model must not be lost to any of them
        traceback.print_exc()
        reason = f"its export failed ({type(error).__name__}; see the run's log)"
        return record_parity(bundle, {"agrees": False, "reason": reason})
    finally:
        candidate.unlink(missing_ok=True)


def give_features(graph: Path) -> None:
    """Make what the last layer is given an output beside the logits; a graph of another end stays as it is."""
    import onnx

    model = onnx.load(str(graph))
    made_by = {name: node for node in model.graph.node for name in node.output}
    node = made_by.get("logits")
    if node is not None and node.op_type == "Add":  # a matrix product and its bias apart
        node = next((made_by[name] for name in node.input if name in made_by), None)
    if node is None or node.op_type not in ("Gemm", "MatMul"):
        return
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    given = next((value for value in known if value.name == node.input[0]), None)
    if given is None:
        return
    model.graph.node.append(onnx.helper.make_node("Identity", [given.name], [FEATURES], name="give_features"))
    model.graph.output.append(onnx.ValueInfoProto(name=FEATURES, type=given.type))
    write_bytes(graph, model.SerializeToString())
