"""Features of every image, computed once by a frozen backbone, on the fastest engine that agrees with torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.onnx_runtime import open_session
from core.preprocess import normalise
from core.training.backbone.onnx_graph import backbone_graph
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.images import Images
from core.training.batching.loaders import ImageBatches

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
    few = normalise(np.stack([images.read(index) for index in range(min(4, len(images)))]), images.spec)
    expected = reference(few)
    problem = ""
    for by_tracing in (True, False):  # the quick way first: both are compared
        try:
            graph = backbone_graph(backbone, images.spec.size, cache, by_tracing)
            fast = _session_engine(graph)
            gap = float(np.abs(fast(few) - expected).max())
        except Exception as error:  # exporters and runtimes fail in countless ways; torch itself is always there
            problem = f"the backbone could not be made ready for ONNX Runtime ({error})"
            continue
        if gap <= TOLERANCE:
            log(f"Features by ONNX Runtime: largest difference from torch {gap:.1e}.")
            return fast, graph
        problem = f"ONNX Runtime differs by {gap:.1e}, more than {TOLERANCE:g}"
    log(f"Features by torch: {problem}.")
    return reference, None


def _session_engine(graph: Path) -> Engine:
    session = open_session(graph)
    return lambda inputs: session.run(["features"], {"images": inputs})[0]


def torch_engine(backbone: nn.Module, device: torch.device) -> Engine:
    """The backbone itself."""
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # 26 images/s where plain order gives 15

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            images = torch.from_numpy(inputs).to(device, memory_format=torch.channels_last)
            return backbone(images).cpu().numpy()

    return run


def compute_features(
    engine: Engine,
    images: Images,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
    ahead: ReadAhead | None = None,
) -> np.ndarray | None:
    """Features of all images in order, float32 (N, num_features); None when asked to stop.

    Args:
        ahead: decodes these images already; by default that begins now.
    """
    parts: list[np.ndarray] = []
    done = 0
    with contextlib.nullcontext(ahead) if ahead else ReadAhead([images]) as reading:
        for pixels in reading.batches(images, BATCH):
            if should_stop():
                return None
            parts.append(engine(normalise(pixels, images.spec)))
            done += len(pixels)
            on_progress(done, len(images))
    return np.concatenate(parts)


def view_features(
    engine: Engine,
    changed: ImageBatches,
    view: int,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Features of one changed copy of every image; None when asked to stop.

    Args:
        changed: shuffled batches with augmentation, so that images are mixed with any others.
        view: its number, from 1; another number changes the images otherwise.

    Returns:
        Features float32 (N, num_features) in the order of the images, and targets: int64 (N,), or float32
        (N, num_classes) where labels are mixed.
    """
    order = changed.order.indices(view)
    features, targets, done = [], [], 0
    for inputs, labels in changed.epoch(view):
        if should_stop():
            return None
        features.append(engine(inputs.cpu().contiguous().numpy()))
        targets.append(labels.cpu().numpy())
        done += len(labels)
        on_progress(done, len(order))
    back = np.argsort(order.numpy())
    return np.concatenate(features)[back], np.concatenate(targets)[back]


def head_logits(head: nn.Module, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the trained head says of each image's features: float32 (num_classes,) by the same keys."""
    if not features:
        return {}
    device = next(head.parameters()).device
    head.eval()
    with torch.inference_mode():
        logits = head(torch.from_numpy(np.stack(list(features.values()))).to(device)).cpu().numpy()
    return dict(zip(features, logits, strict=True))
