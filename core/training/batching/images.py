"""The images of one split: where they are, what they show, how they become pixels.

torch is only loaded when labels are asked for, so that a worker can decode while it is still loading torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from core.errors import DataMoved, ImageReadError
from core.preprocess import PreprocessSpec, read_pixels

if TYPE_CHECKING:
    import torch

DECODE_THREADS = 4  # Pillow releases the interpreter lock while it decodes and resizes
Progress = Callable[[int, int], None]
_CGROUP = Path("/sys/fs/cgroup")


class Images:
    """The images of one split.

    Args:
        root: the folder that `paths` start from.
        labels: class indices, one an image.
        hashes: 16 hexadecimal digits of each file's content, by which decoded pixels are found again.
    """

    def __init__(
        self,
        root: Path,
        paths: list[str],
        labels: np.ndarray,
        spec: PreprocessSpec,
        hashes: list[str] | None = None,
    ) -> None:
        self.root = root
        self.paths = paths
        self._labels = np.asarray(labels, np.int64)
        self.spec = spec
        self.hashes = hashes

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def labels(self) -> torch.Tensor:
        """Class indices, int64 (N,)."""
        import torch

        return torch.from_numpy(self._labels)

    @property
    def num_bytes(self) -> int:
        """Memory all of them take once decoded."""
        return len(self) * self.spec.size**2 * 3

    def with_spec(self, spec: PreprocessSpec) -> Images:
        """The same images, brought to pixels in another way."""
        return Images(self.root, self.paths, self._labels, spec, self.hashes)

    def some(self, which: np.ndarray) -> Images:
        """Those at these places, or where `which` is true."""
        places = np.arange(len(self))[which]
        paths, hashes = [self.paths[place] for place in places], self.hashes
        kept = None if hashes is None else [hashes[place] for place in places]
        return Images(self.root, paths, self._labels[places], self.spec, kept)

    def gives_the_pixels_of(self, other: Images) -> bool:
        """Whether both are the same files in the same order, brought to pixels in the same way."""
        return (self.root, self.spec, self.paths) == (other.root, other.spec, other.paths)

    def read(self, index: int) -> np.ndarray:
        """Pixels of one image, uint8 (size, size, 3).

        Raises:
            DataMoved: it can no longer be read though the index could.
        """
        try:
            return read_pixels(self.root / self.paths[index], self.spec)
        except ImageReadError as error:
            raise DataMoved(
                f"{self.paths[index]} in {self.root} could be read when the dataset was indexed but not now: {error}",
                "Restore the folder, or index it again and start a new run.",
            ) from error

    def read_planes(self, index: int) -> np.ndarray:
        """The same as networks order it: uint8 (3, size, size)."""
        return self.read(index).transpose(2, 0, 1)

    def decode(self, on_progress: Progress, should_stop: Callable[[], bool]) -> np.ndarray | None:
        """All pixels at once, uint8 (N, 3, size, size), as networks order them; None when asked to stop."""
        pixels = np.empty((len(self), 3, self.spec.size, self.spec.size), np.uint8)
        indices = iter(range(len(self)))
        done = 0
        with ThreadPoolExecutor(DECODE_THREADS) as pool:
            while chunk := list(itertools.islice(indices, 64)):
                if should_stop():
                    return None
                for index, image in zip(chunk, pool.map(self.read_planes, chunk), strict=True):
                    pixels[index] = image
                done += len(chunk)
                on_progress(done, len(self))
        return pixels


def fits_in_memory(num_bytes: int, share: float) -> bool:
    """Whether that many bytes take at most this share of the memory that is free now."""
    return num_bytes <= share * min(psutil.virtual_memory().available, left_in_container())


def left_in_container() -> float:
    """Bytes until the limit of this process's control group (Linux, version 2); infinite where there is none."""
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return math.inf if limit == "max" else int(limit) - int(used)
    except (OSError, ValueError):
        return math.inf
