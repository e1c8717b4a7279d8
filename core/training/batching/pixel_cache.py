"""Decoded images on disk, in parts that are only ever added to, for sets that do not fit in memory.

Images are found again by their content, so that runs on another division of the same images, or a run that was killed
while it filled the cache, go on from what is there. All parts of all sizes together keep within a bound; those used
longest ago go first. A part is two files: pixels, then the hashes of its images, so that a part with hashes is whole.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.manifest import content_keys
from core.files import last_used, write_bytes
from core.preprocess import PreprocessSpec
from core.training.batching.images import DECODE_THREADS, Images, Progress
from core.training.batching.pixels import FilePixels, run_ahead

PART_BYTES = 48 * 2**20  # a few seconds of decoding: what a kill can lose
LEFT_FREE = 2 * 2**30  # bytes of the disk that the cache leaves to others
_ABANDONED_S = 600.0  # a temporary file this old belongs to a process that was killed
_HASHES, _PIXELS = ".hashes.npy", ".pixels"
_MISSING = -1


@dataclass(frozen=True)
class Filled:
    """What filling the cache came to: None of the rest where it was stopped.

    Attributes:
        num_found: images that were there before.
        num_added: images decoded now.
        num_left_out: images for which the bound has no room; they are read from their files.
    """

    num_found: int
    num_added: int
    num_left_out: int


class PixelStore:
    """The decoded images of one way of decoding and size.

    Args:
        root: the folder of all stores, one below it for each way and size.
    """

    def __init__(self, root: Path, spec: PreprocessSpec) -> None:
        # Mean and standard deviation come later: they change no pixel.
        way = replace(spec, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self._root, self._folder = root, root / way.hash
        self._shape = (3, spec.size, spec.size)
        self._folder.mkdir(parents=True, exist_ok=True)

    def fill(
        self,
        images: Images,
        most_bytes: int,
        on_progress: Progress,
        should_stop: Callable[[], bool],
        share: tuple[int, int] = (0, 1),
    ) -> Filled | None:
        """Decode what is missing, as far as there is room; None when asked to stop, with what is done kept.

        Args:
            most_bytes: of all stores below the root.
            share: number of this process and of those that fill together; each decodes its part of what is missing.
        """
        _sweep(self._root)
        wanted = _keys(images)
        held = set(np.concatenate([keys for _, keys in self._parts()] or [np.empty(0, np.uint64)]).tolist())
        missing = [index for index, key in enumerate(wanted.tolist()) if key not in held]
        room = self._make_room(len(missing), most_bytes, wanted)
        # By content: what the others have added meanwhile is not missing here, so places in this list mean nothing.
        todo = [index for index in missing[:room] if int(wanted[index]) % share[1] == share[0]]
        each = max(1, PART_BYTES // int(np.prod(self._shape)))
        with ThreadPoolExecutor(DECODE_THREADS) as pool:
            for start in range(0, len(todo), each):
                part = todo[start : start + each]
                pixels = np.empty((len(part), *self._shape), np.uint8)
                for place, image in enumerate(pool.map(images.read_planes, part)):
                    pixels[place] = image
                    if place % 16 == 0:
                        on_progress(start + place, len(todo))
                        if should_stop():
                            pool.shutdown(wait=False, cancel_futures=True)
                            return None
                self._add(wanted[part], pixels)
                on_progress(start + len(part), len(todo))
        return Filled(len(wanted) - len(missing), len(todo), len(missing) - min(room, len(missing)))

    def open(self, images: Images, num_workers: int) -> CachedPixels:
        """The images' pixels; those that are not in the store are read from their files."""
        wanted = _keys(images)
        order = np.argsort(wanted, kind="stable")
        place = np.full((len(wanted), 2), _MISSING, np.int64)
        opened: list[np.memmap] = []
        for path, keys in self._parts():
            first = np.searchsorted(wanted[order], keys, "left")
            last = np.searchsorted(wanted[order], keys, "right")
            hits = np.flatnonzero(last > first)
            if not len(hits):
                continue
            try:
                opened.append(np.memmap(path, np.uint8, "r", shape=(len(keys), *self._shape)))
                os.utime(path)
            except (OSError, ValueError):
                continue  # removed by another process meanwhile, or cut short
            for row in hits:
                place[order[first[row] : last[row]]] = len(opened) - 1, row
        return CachedPixels(images, opened, place, num_workers)

    def _parts(self) -> list[tuple[Path, np.ndarray]]:
        """Each whole part's pixel file and the hashes of its images."""
        found = []
        for path in sorted(self._folder.glob(f"*{_HASHES}")):
            try:
                keys = np.load(path, allow_pickle=False)
                pixels = path.with_name(path.name.replace(_HASHES, _PIXELS))
                if pixels.stat().st_size == len(keys) * int(np.prod(self._shape)):
                    found.append((pixels, keys))
            except (OSError, ValueError, EOFError):
                continue  # another process removes it, or it is damaged; its images are decoded anew
        return found

    def _add(self, keys: np.ndarray, pixels: np.ndarray) -> None:
        name = uuid.uuid4().hex  # several processes may add at once
        write_bytes(self._folder / f"{name}{_PIXELS}", pixels.tobytes())
        stream = BytesIO()
        np.save(stream, keys, allow_pickle=False)
        write_bytes(self._folder / f"{name}{_HASHES}", stream.getvalue())

    def _make_room(self, count: int, most_bytes: int, wanted: np.ndarray) -> int:
        """For how many of `count` more images there is room, once parts that nobody here wants are gone."""
        each = int(np.prod(self._shape))
        needed = count * each
        parts = sorted((path for path in self._root.glob(f"*/*{_PIXELS}")), key=last_used)
        total = sum(_size(path) for path in parts)
        spared = {path for path, keys in self._parts() if np.isin(keys, wanted).any()}
        for path in parts:
            if total + needed <= most_bytes and needed + LEFT_FREE <= shutil.disk_usage(self._root).free:
                break
            if path not in spared:
                total -= _size(path)
                path.with_name(path.name.replace(_PIXELS, _HASHES)).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        free = min(most_bytes - total, shutil.disk_usage(self._root).free - LEFT_FREE)
        return max(0, min(count, free // each))


class CachedPixels:
    """Pixels by way of memory-mapped files, gathered in a thread ahead of use; see `pixels.Pixels`."""

    def __init__(self, images: Images, parts: list[np.memmap], place: np.ndarray, num_workers: int) -> None:
        self.size = images.spec.size
        self._images, self._parts, self._place = images, parts, place
        self._num_workers = num_workers

    def batches(self, wanted: list[Tensor]) -> Iterator[Tensor]:
        if (self._place[:, 0] == _MISSING).any():
            return FilePixels(self._images, self._num_workers, self.read).batches(wanted)
        return run_ahead(self._gathered(indices.tolist()) for indices in wanted)

    def read(self, index: int) -> np.ndarray:
        """Pixels of one image, uint8 (3, size, size), from its file where the cache has no room for it."""
        part, place = self._place[index]
        if part == _MISSING:
            return self._images.read_planes(index)
        return np.asarray(self._parts[part][place])

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes that are not forked: names of files, for a memory map would be sent with its content."""
        return vars(self) | {"_parts": [(part.filename, part.shape) for part in self._parts]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts = [np.memmap(path, np.uint8, "r", shape=shape) for path, shape in state["_parts"]]
        vars(self).update(state | {"_parts": parts})

    def _gathered(self, indices: list[int]) -> Tensor:
        pixels = np.empty((len(indices), 3, self.size, self.size), np.uint8)
        for row, index in enumerate(indices):
            part, place = self._place[index]
            pixels[row] = self._parts[part][place]
        return torch.from_numpy(pixels)


def _keys(images: Images) -> np.ndarray:
    """What each image's content is known by, uint64."""
    if images.hashes is None:
        raise ValueError("the images' content hashes are needed")
    return content_keys(images.hashes)


def _sweep(root: Path) -> None:
    """Remove what killed processes left: temporary files, and pixels whose hashes were never written."""
    for path in root.glob("*/*"):
        is_half = path.suffix == ".tmp" or (
            path.name.endswith(_PIXELS) and not path.with_name(path.name.replace(_PIXELS, _HASHES)).exists()
        )
        try:
            if is_half and time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
        except OSError:
            continue


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
