"""Features of every image, computed once by a frozen backbone, on the fastest engine that agrees with torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.onnx_runtime import open_session
from core.preprocess import normalise
from core.training.loaders import DECODE_THREADS, Images
from core.training.onnx_graph import backbone_graph

Engine = Callable[[np.ndarray], np.ndarray]  # float32 (N, 3, H, W) -> float32 (N, num_features)
BATCH = 16  # measured on two cores: 135 images/s at 16, 127 at 32, 117 at 64
TOLERANCE = 1e-3


def fastest_engine(
    backbone: nn.Module, images: Images, device: torch.device, cache: Path, log: Callable[[str], None]
) -> tuple[Engine, Path | None]:
    """ONNX Runtime on a CPU where its features equal torch's within `TOLERANCE` on real images, else torch.

    Returns:
        The engine, and the backbone's graph where one was made.
    """
    backbone.eval()
    reference = torch_engine(backbone, device)
    if device.type != "cpu":
        return reference, None
    try:
        graph = backbone_graph(backbone, images.spec.size, cache)
        session = open_session(graph)
    except Exception as error:  # exporters and runtimes fail in countless ways; torch itself is always there
        log(f"Features by torch: the backbone could not be made ready for ONNX Runtime ({error}).")
        return reference, None

    def fast(inputs: np.ndarray) -> np.ndarray:
        return session.run(["features"], {"images": inputs})[0]

    few = normalise(np.stack([images.read(index) for index in range(min(4, len(images)))]), images.spec)
    gap = float(np.abs(fast(few) - reference(few)).max())
    if gap <= TOLERANCE:
        log(f"Features by ONNX Runtime: largest difference from torch {gap:.1e}.")
        return fast, graph
    log(f"Features by torch: ONNX Runtime differs by {gap:.1e}, more than {TOLERANCE:g}.")
    return reference, None


def torch_engine(backbone: nn.Module, device: torch.device) -> Engine:
    """The backbone itself."""
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # 26 images/s where plain order gives 15

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            images = torch.from_numpy(inputs).to(device, memory_format=torch.channels_last)
            return backbone(images).cpu().numpy()

    return run


def compute_features(
    engine: Engine, images: Images, on_progress: Callable[[int, int], None], should_stop: Callable[[], bool]
) -> np.ndarray | None:
    """Features of all images in order, float32 (N, num_features); None when asked to stop.

    Decoding runs ahead in threads, by two batches at most, while the engine works.
    """
    parts: list[np.ndarray] = []
    done = 0
    for pixels in _decoded(images):
        if should_stop():
            return None
        parts.append(engine(normalise(pixels, images.spec)))
        done += len(pixels)
        on_progress(done, len(images))
    return np.concatenate(parts)


def _decoded(images: Images) -> Iterator[np.ndarray]:
    def stacked(futures: list[Future[np.ndarray]]) -> np.ndarray:
        return np.stack([future.result() for future in futures])

    ahead: deque[list[Future[np.ndarray]]] = deque()
    with ThreadPoolExecutor(DECODE_THREADS) as pool:
        for start in range(0, len(images), BATCH):
            ahead.append([pool.submit(images.read, i) for i in range(start, min(start + BATCH, len(images)))])
            if len(ahead) > 2:
                yield stacked(ahead.popleft())
        while ahead:
            yield stacked(ahead.popleft())
