"""Where a batch's pixels come from: memory, or the files themselves every epoch. The disk is in `pixel_cache`."""

from __future__ import annotations

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.errors import DarkroomError
from core.onnx_runtime import num_cores
from core.training.batching.images import Images, Progress

T = TypeVar("T")
MANY = 500  # images from which starting processes to decode them pays
_PART, _PART_BYTES = 256, 2**21  # what a process decodes before it hands it over; a container's /dev/shm is small
_MOST_PROCESSES = 8
_AHEAD = 2  # batches made ready before they are asked for


class Pixels(Protocol):
    """Decoded images of one size.

    Attributes:
        size: side of the images, pixels.
    """

    size: int

    def batches(self, wanted: list[Tensor]) -> Iterator[Tensor]:
        """For each tensor of indices (n,) the pixels, uint8 (n, 3, size, size).

        Raises:
            DarkroomError: a file can no longer be read.
        """
        ...


class MemoryPixels:
    """All images in memory: uint8 (N, 3, size, size)."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.size = pixels.shape[-1]
        self._pixels = torch.from_numpy(pixels)

    @classmethod
    def decoded(cls, images: Images, on_progress: Progress, should_stop: Callable[[], bool]) -> MemoryPixels | None:
        """All of them, read now; None when asked to stop.

        Raises:
            DarkroomError: a file can no longer be read.
        """
        if len(images) < MANY or multiprocessing.get_start_method() != "fork":
            pixels = images.decode(on_progress, should_stop)
            return None if pixels is None else cls(pixels)
        # Of a small image the decoder has little to do and Python much: four threads do 2,100 in a second, where one
        # would do 4,000 and two processes do 6,000.
        pixels = np.empty((len(images), 3, images.spec.size, images.spec.size), np.uint8)
        num_processes = min(_MOST_PROCESSES, num_cores())
        each = max(1, min(_PART, _PART_BYTES // pixels[0].nbytes))
        parts = list(torch.arange(len(images)).split(each))
        for part, read in zip(parts, FilePixels(images, num_processes).batches(parts), strict=True):
            pixels[part[0] : part[-1] + 1] = read
            on_progress(int(part[-1]) + 1, len(images))
            if should_stop():
                return None
        return cls(pixels)

    def batches(self, wanted: list[Tensor]) -> Iterator[Tensor]:
        for indices in wanted:
            yield self._pixels[indices]


class FilePixels:
    """Every image decoded each time it is asked for, by processes that run ahead.

    Args:
        read: gives the pixels of one image, uint8 (3, size, size), or raises `DarkroomError`; called in the processes.
    """

    def __init__(self, images: Images, num_workers: int, read: Callable[[int], np.ndarray] | None = None) -> None:
        self.size = images.spec.size
        self._files = _Files(read or images.read_planes, len(images))
        self._num_workers = num_workers

    def batches(self, wanted: list[Tensor]) -> Iterator[Tensor]:
        loader = DataLoader(
            self._files,
            batch_sampler=[indices.tolist() for indices in wanted],
            num_workers=self._num_workers,
            collate_fn=_stack,
            generator=torch.Generator(),  # else it draws a number where dropout does, and a resumed epoch one more
        )
        for pixels in loader:
            if isinstance(pixels, DarkroomError):
                raise pixels
            yield pixels


def run_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, made in a thread while the caller works on those before; it ends when the caller does."""
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    done = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if not _put(ready, (item, None), done):
                    return
            _put(ready, (None, None), done)
        except BaseException as error:  # told to the caller, who raises it
            _put(ready, (None, error), done)

    worker = threading.Thread(target=make, name="batches", daemon=True)
    worker.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item
    finally:
        done.set()
        worker.join()


def _put(ready: queue.Queue[T], item: T, done: threading.Event) -> bool:
    """Whether the item found a place before the caller ended."""
    while not done.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


class _Files(Dataset[np.ndarray | DarkroomError]):
    def __init__(self, read: Callable[[int], np.ndarray], count: int) -> None:
        self._read, self._count = read, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray | DarkroomError:
        try:
            return self._read(index)
        except DarkroomError as error:  # raised here, it would arrive wrapped in a loader process's traceback
            return error


def _stack(pixels: list[np.ndarray | DarkroomError]) -> Tensor | DarkroomError:
    broken = [one for one in pixels if isinstance(one, DarkroomError)]
    return broken[0] if broken else torch.from_numpy(np.stack(pixels))
