"""Runs a torch.export program by PyTorch on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Images (N, 3, H, W) to logits (N, classes), both float32; threads 0 for PyTorch's choice."""
    if threads:
        torch.set_num_threads(threads)
    network = torch.export.load(str(path)).module()

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(images_NCHW)).numpy()

    return forward
