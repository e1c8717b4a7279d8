"""Features of every image, computed once by a frozen backbone, on the fastest engine that agrees with torch."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from core.preprocess import PreprocessSpec, normalise
from core.training.backbone.engines import RUNTIMES, Engine
from core.training.backbone.onnx_graph import backbone_graph
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.images import Images
from core.training.batching.loaders import ImageBatches

BATCH = 16  # measured on two cores: 135 images/s at 16, 127 at 32, 117 at 64
TOLERANCE = 1e-3
Item, Found = TypeVar("Item"), TypeVar("Found")


def fastest_engine(
    backbone: nn.Module,
    images: Images,
    device: torch.device,
    cache: Path,
    log: Callable[[str], None],
    many: bool = True,
) -> tuple[Engine, Path | None]:
    """On a CPU the first of `RUNTIMES` whose features equal torch's within `TOLERANCE` on real images, else torch.

    Args:
        many: calls come at once, by `compute_features`; else one after another.

    Returns:
        The engine, and the backbone's graph where one was made.
    """
    backbone.eval()
    reference = torch_engine(backbone, device)
    if device.type != "cpu":
        return reference, None
    few = normalise(np.stack([images.read(index) for index in range(min(4, len(images)))]), images.spec)
    expected = reference(few)
    problems: list[str] = []
    for by_tracing in (True, False):  # the quick way first: all are compared
        for runtime, open_graph in RUNTIMES.items():
            try:
                graph = backbone_graph(backbone, images.spec.size, cache, by_tracing)
                fast = open_graph(graph, many)
                gap = float(np.abs(fast(few) - expected).max())
            except Exception as error:  # exporters and runtimes fail in countless ways; torch itself is always there
                problems.append(f"the backbone could not be made ready for {runtime} ({error})")
                continue
            if gap <= TOLERANCE:
                log(f"Features by {runtime}: largest difference from torch {gap:.1e}.")
                return fast, graph
            problems.append(f"{runtime} differs by {gap:.1e}, more than {TOLERANCE:g}")
    log(f"Features by torch: {'; '.join(problems)}.")
    return reference, None


def torch_engine(backbone: nn.Module, device: torch.device) -> Engine:
    """The backbone itself."""
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()  # 26 images/s where plain order gives 15

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            images = torch.from_numpy(inputs).to(device, memory_format=torch.channels_last)
            return backbone(images).cpu().numpy()

    return Engine(run)


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
    features: np.ndarray | None = None  # filled in place: parts put together at the end would be there twice
    done = 0
    with contextlib.nullcontext(ahead) if ahead else ReadAhead([images]) as reading:
        for part in features_of(engine, reading.batches(images, BATCH), images.spec):
            if should_stop():
                return None
            if features is None:
                features = np.empty((len(images), part.shape[1]), np.float32)
            features[done : done + len(part)] = part
            done += len(part)
            on_progress(done, len(images))
    return features


def features_of(engine: Engine, pixels: Iterable[np.ndarray], spec: PreprocessSpec) -> Iterator[np.ndarray]:
    """Features of batches that are decoded, uint8 (n, size, size, 3), in order, as many at once as the engine takes."""
    return _in_order(lambda batch: engine(normalise(batch, spec)), pixels, engine.at_once)


def _in_order(work: Callable[[Item], Found], items: Iterable[Item], at_once: int) -> Iterator[Found]:
    """What `work` makes of each item, in their order, that many at the same time."""
    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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
    for found, labels in _in_order(
        lambda batch: (engine(batch[0].cpu().contiguous().numpy()), batch[1]), changed.epoch(view), engine.at_once
    ):
        if should_stop():
            return None
        features.append(found)
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


def last_features(head: nn.Sequential, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the head's last layer is given of each image: its features, or what a hidden layer makes of them."""
    if not features or len(head) == 2:  # dropout, which does nothing here, and the last layer
        return dict(features)
    device = next(head.parameters()).device
    head.eval()
    with torch.inference_mode():
        given = head[:-1](torch.from_numpy(np.stack(list(features.values()))).to(device)).cpu().numpy()
    return dict(zip(features, given, strict=True))
