"""The exports for phones: ExecuTorch, and LiteRT where somebody has brought its converter along."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.exports.format import Format, Source
from core.jobs import StatusWriter


def _executorch(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    network, size = source.network().requires_grad_(False), source.bundle.spec.size
    with _silent():
        # For one image at a time: its memory is planned beforehand, and a phone has one photo.
        program = torch.export.export(network, (torch.zeros(1, 3, size, size),))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        left = _left_over(lowered.exported_program())
        (folder / EXECUTORCH.model).write_bytes(lowered.to_executorch().buffer)
    told = "All of it is done by XNNPACK, the fast kernels for ARM and x86."
    if left:
        told = f"XNNPACK, the fast kernels for ARM and x86, does all but {', '.join(left)}."
    return {"notes": [told, "It takes one image at a time."], "not_by_xnnpack": left}


def _left_over(program: Any) -> list[str]:
    """Operations that the fast kernels were not given."""
    names = {str(getattr(node.target, "__name__", node.target)) for node in program.graph.nodes if _is_call(node)}
    return sorted(name for name in names if "delegate" not in name and "getitem" not in name)


def _is_call(node: Any) -> bool:
    return bool(node.op == "call_function")


def _litert(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    import litert_torch
    import torch

    network, size = source.network().requires_grad_(False), source.bundle.spec.size
    with _silent():
        litert_torch.convert(network, (torch.zeros(1, 3, size, size),)).export(str(folder / LITERT.model))
    return {"notes": ["It takes one image at a time."]}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Converters talk; the log is for users."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _no_executorch() -> str | None:
    found = find_spec("executorch") is not None
    return None if found else "it needs the package executorch (pip install executorch==1.5.1)."


def _no_litert() -> str | None:
    if find_spec("litert_torch") is not None and find_spec("ai_edge_litert") is not None:
        return None
    return (
        "its converter, litert-torch 0.10, brings older versions of pydantic and typing_extensions than this dashboard "
        "is made for. In a second environment, with requirements.txt and then litert-torch==0.10.0 installed, "
        "python -m core export RUN --format litert works."
    )


EXECUTORCH = Format(
    "executorch",
    "ExecuTorch",
    "For apps on Android and iOS, and other small devices with PyTorch's own runtime.",
    "model.pte",
    "executorch_model",
    ("executorch", "torch"),
    _executorch,
    available=_no_executorch,
)
LITERT = Format(
    "litert",
    "LiteRT",
    "For apps on Android and elsewhere that run TensorFlow Lite models.",
    "model.tflite",
    "litert_model",
    ("ai-edge-litert",),
    _litert,
    available=_no_litert,
)
FORMATS = (EXECUTORCH, LITERT)
