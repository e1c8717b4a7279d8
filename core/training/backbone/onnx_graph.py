"""A torch module as an ONNX graph on disk, batch size free; used for fast features and for the bundle."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from core.files import write_bytes

_TRACED_OPSET = 20  # what the other way gives too, so that graphs of both can be joined
_TRACE_BATCH = 2  # not 1: the exporter would take a batch of one for a constant


def export_onnx(
    module: nn.Module,
    example_shape: tuple[int, ...],
    path: Path,
    input_name: str,
    output_name: str,
    by_tracing: bool = False,
) -> None:
    """Write `module`, as it is in evaluation mode, to `path` in one step.

    Args:
        example_shape: shape of one input without the batch dimension.
        by_tracing: note what one batch does, in place of analysing the module: 2 s, not 9, for EfficientNet-Lite0.
            Where what a network does depends on its input the graph is wrong, so callers compare it with the module.
    """
    module = deepcopy(module).cpu().eval().requires_grad_(False)
    for layer in module.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = (
                False  # with gradients off this halves the exporter's work: 17 s to 8 s for EfficientNet-Lite0
            )
    example = torch.zeros(_TRACE_BATCH, *example_shape)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):  # the exporter talks; the log is for users
        warnings.simplefilter("ignore")
        if by_tracing:
            write_bytes(path, _traced(module, example, input_name, output_name))
            return
        program = torch.onnx.export(
            module,
            (example,),
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("num_images")},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    write_bytes(path, program.model_proto.SerializeToString())


def _traced(module: nn.Module, example: torch.Tensor, input_name: str, output_name: str) -> bytes:
    stream = io.BytesIO()
    torch.onnx.export(
        module,
        (example,),
        stream,
        input_names=[input_name],
        output_names=[output_name],
        dynamic_axes={input_name: {0: "num_images"}, output_name: {0: "num_images"}},
        opset_version=_TRACED_OPSET,
        dynamo=False,
    )
    return stream.getvalue()


def backbone_graph(backbone: nn.Module, size: int, folder: Path, by_tracing: bool = False) -> Path:
    """The backbone as `images` -> `features`, exported once for each set of weights and input size.

    Args:
        folder: the cache; a file in it is named by all that went into it.
        by_tracing: see `export_onnx`.
    """
    path = folder / f"{fingerprint(backbone, size)}{'-traced' if by_tracing else ''}.onnx"
    if not path.is_file():
        export_onnx(backbone, (3, size, size), path, "images", "features", by_tracing)
    return path


def join_head(backbone: Path, head: nn.Module, num_features: int, path: Path) -> None:
    """Write `images` -> `logits` from an exported backbone and a head, without tracing the backbone again."""
    import onnx

    head_path = path.with_name(f".{path.name}.head")
    try:
        first = onnx.load(str(backbone))
        by_tracing = first.opset_import[0].version == _TRACED_OPSET
        export_onnx(head, (num_features,), head_path, "head_input", "logits", by_tracing)
        second = onnx.load(str(head_path))
        # The two were exported apart and name their inner values alike; a prefix keeps them distinct.
        second = onnx.compose.add_prefix(second, "head/", rename_inputs=False, rename_outputs=False)
        second.ir_version = first.ir_version
        merged = onnx.compose.merge_models(first, second, io_map=[("features", "head_input")])
        write_bytes(path, merged.SerializeToString())
    finally:
        head_path.unlink(missing_ok=True)


def fingerprint(module: nn.Module, size: int) -> str:
    """24 hexadecimal digits that change with the weights, the input size or the version of torch."""
    digest = hashlib.blake2b(f"{torch.__version__} {size} {type(module).__name__}".encode(), digest_size=12)
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
