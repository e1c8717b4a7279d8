"""Runs a LiteRT (TensorFlow Lite) model on the CPU, as a phone would: one image after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Images (N, 3, H, W) to logits (N, classes), both float32; threads 0 for the runtime's choice."""
    interpreter = Interpreter(str(path), num_threads=threads or None)
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        found = []
        for image in images_NCHW:
            interpreter.set_tensor(given, image[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(answer).copy())
        return np.concatenate(found)

    return forward
