"""Runs an OpenVINO model on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Images (N, 3, H, W) to logits (N, classes), both float32; threads 0 for OpenVINO's choice.

    Computes in float32 also on processors where OpenVINO would by itself take fewer bits.
    """
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(str(path / "model.xml"), "CPU", settings)
    return lambda images_NCHW: np.array(compiled([images_NCHW])[compiled.output(0)])
