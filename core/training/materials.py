"""What a run learns from, made ready: batches of images, or of features where the head alone learns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.config import TrainConfig
from core.training.backbone.engines import Engine
from core.training.backbone.features import BATCH, compute_features, fastest_engine, view_features
from core.training.backbone.kept_features import KeptFeatures
from core.training.backbone.read_ahead import ReadAhead
from core.training.batching.batches import Batches, TensorBatches
from core.training.batching.images import Images
from core.training.batching.loaders import ImageBatches
from core.training.batching.pixel_sources import open_pixels, training_images
from core.training.batching.pixels import FilePixels
from core.training.batching.sampling import Shard
from core.training.distributed import ALONE, Ranks
from core.training.loop.allocation import keep_freed_memory
from core.training.watch import Stopped, Watch
from core.wording import count
from core.workspace import Workspace


@dataclass(frozen=True)
class Material:
    """What the engine is given.

    Attributes:
        shown: training images as the network gets them, for a look at the first batch.
        backbone: its ONNX graph, where features were computed with one.
        held_out: features of images that are not learned from, by path: float32 (num_features,).
    """

    train: Batches
    val: Batches
    shown: ImageBatches
    backbone: Path | None = None
    held_out: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Folders of the cache: for decoded images, for backbones as graphs, for what those make of images."""

    pixels: Path
    backbones: Path
    features: Path

    @classmethod
    def of(cls, workspace: Workspace) -> Places:
        return cls(workspace.pixels, workspace.backbones, workspace.features)


def image_material(
    train: Images,
    val: Images,
    config: TrainConfig,
    num_classes: int,
    device: torch.device,
    places: Places,
    watch: Watch,
    ranks: Ranks = ALONE,
) -> Material:
    """Batches of the images themselves, changed as the config says.

    Raises:
        Stopped: asked to.
        DarkroomError: a file can no longer be read.
    """
    if device.type == "cpu":
        keep_freed_memory()
    larger = training_images(train, config.augment)
    splits = [("training", larger, train.spec), ("validation", val, val.spec)]
    kept = open_pixels(splits, config.runtime, places.pixels, watch, ranks)
    optim, shard = config.optim, Shard(ranks.rank, ranks.size)
    learned = ImageBatches(
        train,
        kept[0],
        optim.batch_size,
        device,
        shuffle_seed=config.runtime.seed,
        augmentation=config.augment,
        num_classes=num_classes,
        sampler=optim.sampler,
        shard=shard,
    )
    return Material(learned, ImageBatches(val, kept[1], optim.batch_size, device, shard=shard), learned)


def feature_material(
    backbone: nn.Module,
    train: Images,
    val: Images,
    test: Images,
    config: TrainConfig,
    num_classes: int,
    device: torch.device,
    places: Places,
    watch: Watch,
    begun: ReadAhead | None = None,
) -> Material:
    """Batches of features, computed once; those of the test images too, so that no image is read again to evaluate.

    Args:
        begun: decodes the three splits already.

    Raises:
        Stopped: asked to.
        DarkroomError: a file can no longer be read.
    """
    engine, graph, found = _features(backbone, [train, val, test], device, places, watch, begun)
    held_out = {
        path: row
        for images, features in zip((val, test), found[1:], strict=True)
        for path, row in zip(images.paths, features, strict=True)
    }
    optim, seed = config.optim, config.runtime.seed
    learned = torch.from_numpy(found[0])[:, None]
    targets = None
    if config.augment.views:
        learned, targets = _with_views(engine, learned, train, config, num_classes, device, places, watch)
    batches = TensorBatches(
        learned if learned.shape[1] > 1 else learned[:, 0],
        train.labels,
        optim.batch_size,
        device,
        seed,
        sampler=optim.sampler,
        targets=targets,
    )
    shown = ImageBatches(
        train,
        FilePixels(train, 0),
        optim.batch_size,
        device,
        shuffle_seed=seed,
        augmentation=config.augment if config.augment.views else None,
        num_classes=num_classes,
        sampler=optim.sampler,
    )
    validation = TensorBatches(torch.from_numpy(found[1]), val.labels, optim.batch_size, device)
    return Material(batches, validation, shown, graph, held_out)


def _features(
    backbone: nn.Module,
    splits: list[Images],
    device: torch.device,
    places: Places,
    watch: Watch,
    begun: ReadAhead | None,
) -> tuple[Engine, Path | None, list[np.ndarray]]:
    """The engine, its graph, and the features of training, validation and test images, float32 (N, num_features)."""
    kept = KeptFeatures.of(places.features, backbone, splits[0].spec, device)
    known = [kept.load(images) for images in splits]
    todo = [images.some(~is_known) for images, (is_known, _) in zip(splits, known, strict=True)]
    if num_known := sum(int(is_known.sum()) for is_known, _ in known):
        watch.log(f"Features of {count(num_known, 'image')} are known from an earlier run.")
    if begun and not begun.reads(todo):
        begun.close()
        begun = None
    # Decoding begins before the backbone is ready: the export keeps one core busy, for seconds.
    with begun or ReadAhead(todo) as ahead:
        watch.enter("preparing", "Preparing the backbone.")
        engine, graph = fastest_engine(backbone, splits[0], device, places.backbones, watch.log)
        found = []
        for name, images, (is_known, features) in zip(("training", "validation", "test"), todo, known, strict=True):
            if len(images):
                watch.enter("features", f"Computing the features of the {name} images, once.")
                new = compute_features(engine, images, watch.meter(), watch.should_stop, ahead)
                if new is None:
                    raise Stopped
                kept.add(images, new)
                features = _put_together(is_known, features, new)
            found.append(features)
    return engine, graph, found


def _put_together(is_known: np.ndarray, known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Features of all images: `known` of those that `is_known`, `new` of the others, each in order."""
    if not is_known.any():
        return new
    features = np.empty((len(is_known), new.shape[1]), np.float32)
    features[is_known], features[~is_known] = known, new
    return features


def _with_views(
    engine: Engine,
    plain: torch.Tensor,
    train: Images,
    config: TrainConfig,
    num_classes: int,
    device: torch.device,
    places: Places,
    watch: Watch,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features (N, 1 + views, num_features): the images as they are, then changed; targets where labels are mixed."""
    kept = open_pixels(
        [("training", training_images(train, config.augment), train.spec)], config.runtime, places.pixels, watch
    )
    changed = ImageBatches(
        train,
        kept[0],
        BATCH,
        device,
        shuffle_seed=config.runtime.seed,
        augmentation=config.augment,
        num_classes=num_classes,
    )
    features, targets = [plain[:, 0]], [nn.functional.one_hot(train.labels, num_classes).float()]
    for view in range(1, config.augment.views + 1):
        watch.enter("features", f"Computing the features of changed images, {view} of {config.augment.views}.")
        found = view_features(engine, changed, view, watch.meter(), watch.should_stop)
        if found is None:
            raise Stopped
        features.append(torch.from_numpy(found[0]))
        targets.append(torch.from_numpy(found[1]))
    return torch.stack(features, dim=1), torch.stack(targets, dim=1) if changed.mixes else None
