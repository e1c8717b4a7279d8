"""Runs an ONNX graph by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The graph's `images` (N, 3, H, W) to `logits` (N, classes), both float32; threads 0 for the runtime's choice."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images_NCHW: session.run(["logits"], {"images": images_NCHW})[0]
