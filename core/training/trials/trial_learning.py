"""Tries the part of a run up to the trained weights: reading images or computing features, then learning."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from core.preprocess import normalise
from core.training.backbone.engines import Engine
from core.training.backbone.features import BATCH, fastest_engine, features_of
from core.training.backbone.kept_features import KeptFeatures
from core.training.batching.batches import Batches, TensorBatches
from core.training.batching.images import Images, fits_in_memory
from core.training.batching.pixel_sources import training_images
from core.training.early import may_decode_early
from core.training.loop.engine import Diverged, OutOfMemory
from core.training.materials import Places, image_material
from core.training.models import Network
from core.training.models.groups import ParameterGroup, parameter_groups
from core.training.session import CHECKPOINT_EVERY_S, MOST_OF_THE_TIME
from core.training.setup import Setup
from core.training.trials.pace import Pace, measure_pace
from core.training.watch import Stopped, Watch

SAMPLE_PIXELS = 4_000_000  # of a sample of training images: 4,000 of 32 px, 80 of 224 px
FEWEST_BATCHES, MOST_VAL = 6, 512
FEATURE_SAMPLE = 96
LOADING_LEAVES = 0.5  # of the speed images are decoded at, while torch and the backbone are loaded
HEAD_ROWS = 20_000  # of features; more are no slower each
LOADED_ALONE_S = 2.0
SLOW_S = 2.0  # an export; a graph from the cache is there sooner


@dataclass(frozen=True)
class Learning:
    """What this part of the run would take.

    Attributes:
        phases: seconds of each, in order.
        in_memory: decoded images are all in memory.
        unseen_bytes: memory for decoded images that this trial did not decode.
        cached_bytes: disk for decoded images.
        backbone: its graph, where features were computed with one.
        refusals: why it would fail, each with what would work.
    """

    phases: dict[str, float]
    images_per_s: float = 0.0
    loader_images_per_s: float = 0.0
    compute_images_per_s: float = 0.0
    batch_size: int = 0
    accumulate: int = 0
    checkpoint_bytes: int = 0
    in_memory: bool = True
    unseen_bytes: float = 0.0
    cached_bytes: float = 0.0
    backbone: Path | None = None
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Fit:
    """Paces of the run's epochs, with the batches that fitted; no pace where none did."""

    paces: list[Pace]
    batch_size: int
    accumulate: int
    refusals: list[str]


def try_learning(setup: Setup, network: Network, starting_s: float, watch: Watch) -> Learning:
    """Do it with a few images.

    Args:
        starting_s: what the process took until now, and a run's would.

    Raises:
        Stopped: asked to.
        DarkroomError: an image can no longer be read, or the settings cannot be used.
    """
    if setup.config.model.tune == "head":
        return _on_features(setup, network, starting_s, watch)
    return _on_images(setup, network, watch)


def _on_images(setup: Setup, network: Network, watch: Watch) -> Learning:
    config = setup.config
    train, val = setup.images("train"), setup.images("val")
    kept, in_memory = _kept(setup, train, val)
    some, some_val = setup.images("train", _sample_size(setup, len(train))), setup.images("val", MOST_VAL)
    sample_config = config
    if not in_memory:  # a sample always fits, but is to go the way of the whole
        runtime = config.runtime.model_copy(update={"memory_share": 1e-9})
        sample_config = config.model_copy(update={"runtime": runtime})
    places = Places.of(setup.workspace)
    reading_s = 0.0
    if not in_memory and config.runtime.disk_cache_gb:
        reading_s = _decoding_s(kept, min(len(some), 64), watch) * (len(train) + len(val))
    began = time.monotonic()
    material = image_material(some, some_val, sample_config, len(setup.classes), setup.device, places, watch)
    if in_memory:
        reading_s = (time.monotonic() - began) / (len(some) + len(some_val)) * (len(train) + len(val))
    watch.enter("training", "Trying to learn from a few images.")
    loader_images_per_s = _alone(material.train, watch)
    network.to(setup.device)
    fit = _fit(setup, network, _groups_by_epoch(network, setup), material.train, material.val, watch)
    if not fit.paces:
        return Learning({"reading": reading_s}, batch_size=fit.batch_size, refusals=fit.refusals)
    all_bytes = kept.num_bytes / max(1, len(kept)) * len(train) + val.num_bytes
    pace, side = fit.paces[-1], kept.spec.size
    seen = side * side * 3 * len(some) + some_val.num_bytes
    return Learning(
        phases={"reading": reading_s, "training": _training_s(setup, fit.paces, len(train), len(val))},
        images_per_s=pace.images_a_step / pace.step_s,
        loader_images_per_s=loader_images_per_s,
        compute_images_per_s=pace.images_a_step / max(1e-9, pace.step_s - pace.waiting_s),
        batch_size=fit.batch_size,
        accumulate=fit.accumulate,
        checkpoint_bytes=pace.checkpoint_bytes,
        in_memory=in_memory,
        unseen_bytes=max(0.0, all_bytes - seen) if in_memory else 0.0,
        cached_bytes=0.0 if in_memory else min(all_bytes, config.runtime.disk_cache_gb * 1e9),
        refusals=fit.refusals,
    )


def _kept(setup: Setup, train: Images, val: Images) -> tuple[Images, bool]:
    """The training images as the run would keep them, and whether in memory; as `open_pixels` decides."""
    share = setup.config.runtime.memory_share / setup.config.runtime.processes
    for images in (training_images(train, setup.config.augment), train):
        if fits_in_memory(images.num_bytes + val.num_bytes, share):
            return images, True
    return train, False


def _sample_size(setup: Setup, num_images: int) -> int:
    """Training images to try with: enough for some steps, few enough to be decoded in seconds."""
    a_step = setup.config.optim.batch_size * setup.config.optim.accumulate
    by_pixels = SAMPLE_PIXELS // setup.spec.size**2
    return min(num_images, max(FEWEST_BATCHES * a_step, by_pixels))


def _decoding_s(images: Images, num_images: int, watch: Watch) -> float:
    """Seconds to decode one image, several at once."""
    some = Images(images.root, images.paths[:num_images], images.labels[:num_images].numpy(), images.spec)
    began = time.monotonic()
    some.decode(watch.meter(), watch.should_stop)
    return (time.monotonic() - began) / max(1, num_images)


def _on_features(setup: Setup, network: Network, starting_s: float, watch: Watch) -> Learning:
    config = setup.config
    counts = {split: int((setup.manifest["split"] == split).sum()) for split in ("train", "val", "test")}
    some = setup.images("train", FEATURE_SAMPLE)
    watch.enter("preparing", "Preparing the backbone.")
    began = time.monotonic()
    engine, graph = fastest_engine(network.backbone, some, setup.device, setup.workspace.backbones, watch.log)
    preparing_s = time.monotonic() - began
    if preparing_s > SLOW_S:  # exported for the first time; the run will find it in the cache
        began = time.monotonic()
        engine, graph = fastest_engine(network.backbone, some, setup.device, setup.workspace.backbones, watch.log)
        preparing_s = time.monotonic() - began
    watch.enter("features", "Computing the features of a few images.")
    decoding_s, engine_s = _decoding_and_engine_s(engine, some, watch)
    kept = KeptFeatures.of(setup.workspace.features, network.backbone, setup.spec, setup.device)
    num_new = sum(int((~kept.knows(setup.images(split))).sum()) for split in counts)
    num_views = config.augment.views * counts["train"]
    watch.enter("training", "Trying to learn from a few images.")
    network.head.to(setup.device)
    train, val = _noise(setup, network, counts["train"], 0), _noise(setup, network, counts["val"], None)
    fit = _fit(setup, network.head, [None], train, val, watch)
    # A run decodes while its backbone is made ready, some while torch is being loaded too.
    ahead_s = preparing_s + (starting_s if may_decode_early(config) else 0.0)
    # A GPU computes while processor cores decode.
    image_s = decoding_s + engine_s if setup.device.type == "cpu" else max(decoding_s, engine_s)
    ahead = min(num_new, ahead_s / decoding_s * LOADING_LEAVES)
    phases = {
        "preparing": preparing_s,
        "features": (num_new + num_views) * image_s - ahead * (image_s - engine_s),
    }
    if not fit.paces:
        return Learning(phases, batch_size=fit.batch_size, backbone=graph, refusals=fit.refusals)
    phases["training"] = _training_s(setup, fit.paces, counts["train"], counts["val"])
    return Learning(
        phases=phases,
        images_per_s=1 / image_s,
        loader_images_per_s=1 / decoding_s,
        compute_images_per_s=1 / engine_s,
        batch_size=fit.batch_size,
        accumulate=fit.accumulate,
        checkpoint_bytes=fit.paces[-1].checkpoint_bytes,
        unseen_bytes=4.0 * network.num_features * max(0, sum(counts.values()) + num_views - HEAD_ROWS),
        backbone=graph,
        refusals=fit.refusals,
    )


def _decoding_and_engine_s(engine: Engine, images: Images, watch: Watch) -> tuple[float, float]:
    """Seconds an image takes to be decoded, and the engine for its features, one after the other."""
    began = time.monotonic()
    pixels = images.decode(watch.meter(), watch.should_stop)
    if pixels is None:
        raise Stopped
    decoding_s = (time.monotonic() - began) / len(images)
    batches = [pixels[start : start + BATCH].transpose(0, 2, 3, 1) for start in range(0, len(pixels), BATCH)]
    engine(normalise(batches[0], images.spec))  # some engines arrange themselves for the first batch of a size
    began, done, report = time.monotonic(), 0, watch.meter()
    for part in features_of(engine, batches, images.spec):
        if watch.should_stop():
            raise Stopped
        done += len(part)
        report(done, len(images))
    return decoding_s, (time.monotonic() - began) / len(images)


def _noise(setup: Setup, network: Network, num_images: int, shuffle_seed: int | None) -> TensorBatches:
    """As many features as there will be, of no image: learning from them takes the same time."""
    num_rows = max(1, min(num_images, HEAD_ROWS))
    labels = torch.arange(num_rows) % len(setup.classes)
    features = torch.randn(num_rows, network.num_features)
    return TensorBatches(features, labels, setup.config.optim.batch_size, setup.device, shuffle_seed)


def _alone(batches: Batches, watch: Watch) -> float:
    """Images a second that loading and augmenting deliver while nobody else computes."""
    num_images, began = 0, 0.0
    steps = batches.epoch(1)
    for inputs, _ in steps:
        if not began:
            began = time.perf_counter()  # the first batch waits for processes to start
            continue
        num_images += len(inputs)
        if time.perf_counter() - began > LOADED_ALONE_S or watch.should_stop():
            break
    getattr(steps, "close", lambda: None)()
    return num_images / (time.perf_counter() - began) if num_images else float(batches.num_images)


def _groups_by_epoch(network: Network, setup: Setup) -> list[list[ParameterGroup] | None]:
    """What learns in the first epoch, and what in the last where that is more."""
    groups = parameter_groups(network, setup.config.model)
    at_first = [replace(group, from_epoch=0 if group.from_epoch == 0 else None) for group in groups]
    last = setup.config.optim.epochs - 1
    at_last = [
        replace(group, from_epoch=0 if group.from_epoch is not None and group.from_epoch <= last else None)
        for group in groups
    ]
    return [at_first] if at_first == at_last else [at_first, at_last]


def _fit(
    setup: Setup,
    model: nn.Module,
    groups_by_epoch: Sequence[list[ParameterGroup] | None],
    train: Batches,
    val: Batches,
    watch: Watch,
) -> _Fit:
    """The pace of each group of learners, with smaller batches where memory runs out, as the run itself would."""
    optim = setup.config.optim
    batch_size, accumulate = optim.batch_size, optim.accumulate
    smallest = 1 if setup.config.model.tune == "head" else 2
    paces: list[Pace] = []
    while True:
        recipe = setup.recipe(batch_size=batch_size, accumulate=accumulate)
        is_too_much = False
        try:
            paces = [measure_pace(model, groups, train, val, recipe, watch.should_stop) for groups in groups_by_epoch]
            return _Fit(paces, batch_size, accumulate, [])
        except Diverged as error:
            return _Fit([], batch_size, accumulate, [str(error)])
        except OutOfMemory:
            is_too_much = True
        if is_too_much and batch_size // 2 < smallest:
            words = f"Not even batches of {batch_size} images fit in memory: lower preprocess.image_size or choose a"
            return _Fit([], batch_size, accumulate, [f"{words} smaller model.architecture."])
        batch_size, accumulate = batch_size // 2, accumulate * 2


def _training_s(setup: Setup, paces: list[Pace], num_train: int, num_val: int) -> float:
    """All epochs; where parts of the network wake one after another, half way between the first epoch and the last."""
    epochs = setup.config.optim.epochs
    each = [pace.run_s(epochs, num_train / pace.images_a_step, num_val) for pace in paces]
    whole = sum(each) / len(each)
    pace = paces[-1]
    checkpoint_share = pace.checkpoint_s / max(CHECKPOINT_EVERY_S, pace.checkpoint_s / MOST_OF_THE_TIME)
    return whole * (1 + checkpoint_share)
