"""Batches for the engine: images decoded once into memory where they fit, read every epoch where they do not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.config import AugmentConfig
from core.errors import DarkroomError, ImageReadError
from core.preprocess import PreprocessSpec, read_pixels
from core.training.augment import augment

DECODE_THREADS = 4  # Pillow releases the interpreter lock while it decodes and resizes
Progress = Callable[[int, int], None]
_CGROUP = Path("/sys/fs/cgroup")


class Batches(Protocol):
    """One pass over some images for a given epoch: pairs of inputs and class indices on the training device."""

    num_images: int

    def __len__(self) -> int: ...

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]: ...


class Images:
    """The images of one split: where they are, what they show, how they become pixels."""

    def __init__(self, root: Path, paths: list[str], labels: np.ndarray, spec: PreprocessSpec) -> None:
        self.root = root
        self.paths = paths
        self.labels = torch.as_tensor(labels, dtype=torch.long)
        self.spec = spec

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def num_bytes(self) -> int:
        """Memory all of them take once decoded."""
        return len(self) * self.spec.size**2 * 3

    def read(self, index: int) -> np.ndarray:
        """Pixels of one image, uint8 (size, size, 3).

        Raises:
            DarkroomError: it can no longer be read though the index could.
        """
        try:
            return read_pixels(self.root / self.paths[index], self.spec)
        except ImageReadError as error:
            raise DarkroomError(
                f"{self.paths[index]} in {self.root} could be read when the dataset was indexed but not now: {error}",
                "Restore the folder, or index it again and start a new run.",
            ) from error

    def decode(self, on_progress: Progress, should_stop: Callable[[], bool]) -> np.ndarray | None:
        """All pixels at once, uint8 (N, size, size, 3); None when asked to stop."""
        pixels = np.empty((len(self), self.spec.size, self.spec.size, 3), np.uint8)
        indices = iter(range(len(self)))
        done = 0
        with ThreadPoolExecutor(DECODE_THREADS) as pool:
            while chunk := list(itertools.islice(indices, 64)):
                if should_stop():
                    return None
                for index, image in zip(chunk, pool.map(self.read, chunk), strict=True):
                    pixels[index] = image
                done += len(chunk)
                on_progress(done, len(self))
        return pixels


def fits_in_memory(num_bytes: int, share: float) -> bool:
    """Whether that many bytes take at most this share of the memory that is free now."""
    return num_bytes <= share * min(psutil.virtual_memory().available, _left_in_container())


def _left_in_container() -> float:
    """Bytes until the limit of this process's control group (Linux, version 2); infinite where there is none."""
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return math.inf if limit == "max" else int(limit) - int(used)
    except (OSError, ValueError):
        return math.inf


class _Ordered:
    """Which images make up each batch: shuffled by seed and epoch for training, in order otherwise."""

    def __init__(self, num_images: int, batch_size: int, shuffle_seed: int | None) -> None:
        self.num_images = num_images
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed

    def __len__(self) -> int:
        num_full, rest = divmod(self.num_images, self.batch_size)
        return num_full + (rest > 0 and not self._folds(rest))

    def batches(self, epoch: int) -> list[Tensor]:
        if self.shuffle_seed is None:
            order = torch.arange(self.num_images)
        else:
            order = torch.randperm(self.num_images, generator=seeded(self.shuffle_seed, epoch))
        batches = list(order.split(self.batch_size))
        if self._folds(len(batches[-1])):
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def _folds(self, last: int) -> bool:
        """Whether a last batch of that size joins the one before: batch normalisation cannot learn from one image."""
        return self.shuffle_seed is not None and last == 1 and self.num_images > self.batch_size > 1


class TensorBatches(_Ordered):
    """Inputs that are ready as they are, such as features: float32 (N, ...)."""

    def __init__(
        self, inputs: Tensor, labels: Tensor, batch_size: int, device: torch.device, shuffle_seed: int | None = None
    ) -> None:
        super().__init__(len(inputs), batch_size, shuffle_seed)
        self.inputs, self.labels = inputs.to(device), labels.to(device)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in self.batches(epoch):
            yield self.inputs[indices], self.labels[indices]


class ImageBatches(_Ordered):
    """Pixels from memory or, where `pixels` is None, from the files; normalised and augmented a batch at a time."""

    def __init__(
        self,
        images: Images,
        pixels: np.ndarray | None,
        batch_size: int,
        device: torch.device,
        *,
        shuffle_seed: int | None = None,
        augmentation: AugmentConfig | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__(len(images), batch_size, shuffle_seed)
        self.images, self.pixels, self.device = images, pixels, device
        self.augmentation = augmentation
        self.num_workers = num_workers
        self._mean = torch.tensor(images.spec.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(images.spec.std, device=device).view(1, 3, 1, 1)

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.batches(epoch)
        for step, (indices, pixels) in enumerate(zip(order, self._pixels(order), strict=True)):
            inputs = pixels.to(self.device).permute(0, 3, 1, 2).float() / 255
            if self.augmentation is not None:
                inputs = augment(inputs, self.augmentation, seeded(self.shuffle_seed or 0, epoch, step + 1))
            yield (inputs - self._mean) / self._std, self.images.labels[indices].to(self.device)

    def _pixels(self, order: list[Tensor]) -> Iterator[Tensor]:
        if self.pixels is not None:
            memory = torch.from_numpy(self.pixels)
            return (memory[indices] for indices in order)
        return self._from_files(order)

    def _from_files(self, order: list[Tensor]) -> Iterator[Tensor]:
        loader = DataLoader(
            _Files(self.images),
            batch_sampler=[indices.tolist() for indices in order],
            num_workers=self.num_workers,
            collate_fn=_stack,
        )
        for pixels in loader:
            if isinstance(pixels, DarkroomError):
                raise pixels
            yield pixels


class _Files(Dataset[np.ndarray | DarkroomError]):
    def __init__(self, images: Images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray | DarkroomError:
        try:
            return self.images.read(index)
        except DarkroomError as error:  # raised here, it would arrive wrapped in a loader process's traceback
            return error


def _stack(pixels: list[np.ndarray | DarkroomError]) -> Tensor | DarkroomError:
    broken = [one for one in pixels if isinstance(one, DarkroomError)]
    return broken[0] if broken else torch.from_numpy(np.stack(pixels))


def seeded(*numbers: int) -> torch.Generator:
    """A generator for this combination of numbers, whatever was drawn before."""
    entropy = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(entropy >> np.uint64(1)))
