"""ONNX Runtime sessions, set up the same way wherever a graph is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DarkroomError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def num_cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(path: Path, threads: int = 0) -> InferenceSession:
    """A CPU session over the graph in `path`.

    Args:
        threads: that work on one call; 0 for as many as there are cores for this process.

    Raises:
        DarkroomError: the file is missing, damaged, or no ONNX graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or num_cores()
    # Threads that turn round waiting for work take the cores from whatever else is at work: a training run beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no base class
        raise DarkroomError(
            f"The ONNX graph {path} cannot be opened: it is damaged or not one.", "Retrain the run."
        ) from error
