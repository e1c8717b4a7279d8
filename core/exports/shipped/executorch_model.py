"""Runs an ExecuTorch program on the CPU, as a phone would: one image after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Images (N, 3, H, W) to logits (N, classes), both float32; the runtime chooses its threads."""
    method = Runtime.get().load_program(str(path)).load_method("forward")
    if method is None:
        raise ValueError("the program has no forward")

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(np.ascontiguousarray(images_NCHW))
        return np.concatenate([method.execute([image[None]])[0].numpy().copy() for image in images])

    return forward
