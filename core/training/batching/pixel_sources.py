"""Where the images of a run are kept while it trains: memory if they fit, else a cache on disk, else their files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.config import AugmentConfig, RuntimeConfig
from core.errors import DarkroomError, ImageReadError
from core.preprocess import PreprocessSpec, open_image
from core.training.batching.images import Images, fits_in_memory
from core.training.batching.pixel_cache import CachedPixels, PixelStore
from core.training.batching.pixels import FilePixels, MemoryPixels, Pixels
from core.training.distributed import ALONE, Ranks
from core.training.watch import Stopped, Watch
from core.wording import count

MOST_ENLARGED = 1.5  # of the side: 2.25 times the memory, and a crop of 44 % of the area still has all its pixels
_PROBED = 32  # images looked at for how large they are


def training_images(images: Images, augment: AugmentConfig) -> Images:
    """The images as they are kept for training: larger than the network wants where parts are cut out of them.

    A crop of the least area would need a side of size / sqrt(crop_scale) not to be enlarged; no more is kept than
    `MOST_ENLARGED` allows, nor than the images themselves have to give.
    """
    size = images.spec.size
    if augment.crop_scale == 1 or not len(images):
        return images
    wanted = min(size / math.sqrt(augment.crop_scale), size * MOST_ENLARGED, _typical_side(images))
    return images.with_spec(replace(images.spec, size=max(size, math.ceil(wanted))))


def open_pixels(
    splits: list[tuple[str, Images, PreprocessSpec]],
    runtime: RuntimeConfig,
    cache: Path,
    watch: Watch,
    ranks: Ranks = ALONE,
) -> list[Pixels]:
    """The pixels of each split, made ready.

    Args:
        splits: name (for messages), images as they would best be kept, and the spec to fall back to where those
            would not fit in memory but smaller ones do.
        cache: the folder of decoded images; see `core.training.batching.pixel_cache`.

    Raises:
        Stopped: asked to.
        DarkroomError: a file can no longer be read.
    """
    share = runtime.memory_share / ranks.local_size
    # Together: processes that kept them in different places would wait for one another for ever.
    if ranks.all_say(fits_in_memory(sum(images.num_bytes for _, images, _ in splits), share)):
        kept = [(name, images) for name, images, _ in splits]
    else:
        kept = [(name, images.with_spec(spec)) for name, images, spec in splits]
    if ranks.all_say(fits_in_memory(sum(images.num_bytes for _, images in kept), share)):
        return [_in_memory(name, images, watch) for name, images in kept]
    if not runtime.disk_cache_gb or any(images.hashes is None for _, images in kept):
        watch.log("The images do not fit in the memory they may take, so they are read from their files every epoch.")
        return [FilePixels(images, runtime.num_workers) for _, images in kept]
    return [_on_disk(name, images, runtime, cache, watch, ranks) for name, images in kept]


def _in_memory(name: str, images: Images, watch: Watch) -> MemoryPixels:
    watch.enter("reading", f"Reading the {name} images into memory.")
    pixels = MemoryPixels.decoded(images, watch.meter(), watch.should_stop)
    if pixels is None:
        raise Stopped
    return pixels


def _on_disk(
    name: str, images: Images, runtime: RuntimeConfig, cache: Path, watch: Watch, ranks: Ranks
) -> CachedPixels:
    watch.enter("reading", f"Decoding the {name} images into the cache on disk, once.")
    store = PixelStore(cache, images.spec)
    most_bytes = int(runtime.disk_cache_gb * 1e9)
    try:
        filled = store.fill(images, most_bytes, watch.meter(), watch.should_stop, (ranks.local_rank, ranks.local_size))
        if filled is None:
            raise Stopped
        watch.log(f"{name.capitalize()} images: {filled.num_found:,} were decoded before, {filled.num_added:,} now.")
        if filled.num_left_out:
            left = count(filled.num_left_out, "image")
            watch.log(f"For {left} runtime.disk_cache_gb leaves no room; their files are read every epoch.")
    except DarkroomError as error:
        if isinstance(error.__cause__, ImageReadError):
            raise
        watch.log(f"The cache of decoded images could not be filled further: {error}")  # a full disk ends no training
    ranks.barrier()  # what the others decoded is there now
    return store.open(images, runtime.num_workers)


def _typical_side(images: Images) -> float:
    """The median of the shorter sides of some images, pixels; 0 where none of those can be read."""
    sides = []
    for index in np.linspace(0, len(images) - 1, min(_PROBED, len(images))).round().astype(int):
        try:
            sides.append(min(open_image(images.root / images.paths[index]).size))
        except ImageReadError:
            continue
    return float(np.median(sides)) if sides else 0.0
