"""The formats that hold the very weights in float32: ONNX, TorchScript and torch.export."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.exports.format import Format, Source
from core.jobs import StatusWriter

_EXAMPLES = 2  # not 1: an exporter would take a batch of one for a constant


def _onnx(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import onnx

    made = source.onnx(folder)
    path = folder / ONNX.model
    if made.parent == folder:
        made.rename(path)
    else:
        shutil.copyfile(made, path)
    opset = onnx.load(str(path), load_external_data=False).opset_import[0].version
    return {"opset": int(opset), "notes": [f"Opset {opset}; the batch size is free."]}


def _torchscript(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import torch

    network, size = source.network().requires_grad_(False), source.bundle.spec.size
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that it is no longer developed, which the format's sentence says
        traced = torch.jit.trace(network, torch.zeros(_EXAMPLES, 3, size, size), check_trace=False)
        torch.jit.save(traced, str(folder / TORCHSCRIPT.model))
    return {}


def _torch_export(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import torch

    network, size = source.network().requires_grad_(False), source.bundle.spec.size
    program = torch.export.export(
        network,
        (torch.zeros(_EXAMPLES, 3, size, size),),
        dynamic_shapes=({0: torch.export.Dim("num_images")},),
    )
    torch.export.save(program, folder / TORCH_EXPORT.model)
    return {}


ONNX = Format(
    "onnx",
    "ONNX",
    "For ONNX Runtime, on any system and from any language; what this dashboard itself classifies with.",
    "model.onnx",
    "onnx_model",
    ("onnxruntime",),
    _onnx,
)
TORCHSCRIPT = Format(
    "torchscript",
    "TorchScript",
    "For programs in Python or C++ that load TorchScript; PyTorch develops torch.export in its place.",
    "model.pt",
    "torchscript_model",
    ("torch",),
    _torchscript,
)
TORCH_EXPORT = Format(
    "torch-export",
    "torch.export",
    "For programs with PyTorch 2, and the way to its compilers.",
    "model.pt2",
    "torch_export_model",
    ("torch",),
    _torch_export,
)
FORMATS = (ONNX, TORCHSCRIPT, TORCH_EXPORT)
