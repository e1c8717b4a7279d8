"""Runs a TensorRT engine on the first NVIDIA GPU; PyTorch holds the memory there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorrt
import torch


def open_model(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Images (N, 3, H, W) to logits (N, classes), both float32; calls of more images than the engine takes are cut up.

    Raises:
        ValueError: the engine is of another version of TensorRT or for another GPU.
    """
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise ValueError("the engine was built by another version of TensorRT or for another GPU")
    context, stream = engine.create_execution_context(), torch.cuda.Stream()
    most = int(engine.get_tensor_profile_shape("images", 0)[2][0])

    def answer(images_NCHW: np.ndarray) -> np.ndarray:
        with torch.cuda.stream(stream):
            images = torch.from_numpy(np.ascontiguousarray(images_NCHW)).cuda()
            context.set_input_shape("images", tuple(images.shape))
            logits = torch.empty(tuple(context.get_tensor_shape("logits")), dtype=torch.float32, device="cuda")
            context.set_tensor_address("images", images.data_ptr())
            context.set_tensor_address("logits", logits.data_ptr())
            if not context.execute_async_v3(stream.cuda_stream):
                raise ValueError("the engine failed")
            return logits.cpu().numpy()

    def forward(images_NCHW: np.ndarray) -> np.ndarray:
        starts = range(0, len(images_NCHW), most)
        return np.concatenate([answer(images_NCHW[start : start + most]) for start in starts])

    return forward
