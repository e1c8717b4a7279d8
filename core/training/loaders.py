"""Batches of images for the engine: decoded once into memory where they fit, read every epoch where they do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.config import AugmentConfig
from core.errors import DarkroomError
from core.training.augment import augment
from core.training.batches import Batches, OrderedBatches, TensorBatches
from core.training.images import DECODE_THREADS, Images, Progress, fits_in_memory
from core.training.sampling import Order, Sampler, Shard, seeded

__all__ = [
    "DECODE_THREADS",
    "Batches",
    "ImageBatches",
    "Images",
    "Progress",
    "TensorBatches",
    "fits_in_memory",
    "seeded",
]


class ImageBatches(OrderedBatches):
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
        sampler: Sampler = "shuffled",
        shard: Shard | None = None,
    ) -> None:
        order = Order(len(images), batch_size, shuffle_seed, labels=images.labels, sampler=sampler, shard=shard)
        super().__init__(order)
        self.images, self.pixels, self.device = images, pixels, device
        self.augmentation = augmentation
        self.num_workers = num_workers
        self._mean = torch.tensor(images.spec.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(images.spec.std, device=device).view(1, 3, 1, 1)

    def epoch(self, epoch: int, first_image: int = 0, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.order.indices(epoch)
        spans = [self.order.shard.part(*span) for span in self.order.spans(first_image, batch_size)]
        batches = [order[start:stop] for start, stop in spans if start < stop]
        for (start, _), indices, pixels in zip(spans, batches, self._pixels(batches), strict=False):
            inputs = pixels.to(self.device).permute(0, 3, 1, 2).float() / 255
            if self.augmentation is not None:
                inputs = augment(inputs, self.augmentation, seeded(self.order.seed or 0, epoch, start + 1))
            yield (inputs - self._mean) / self._std, self.images.labels[indices].to(self.device)

    def _pixels(self, batches: list[Tensor]) -> Iterator[Tensor]:
        if self.pixels is not None:
            memory = torch.from_numpy(self.pixels)
            return (memory[indices] for indices in batches)
        return self._from_files(batches)

    def _from_files(self, batches: list[Tensor]) -> Iterator[Tensor]:
        loader = DataLoader(
            _Files(self.images),
            batch_sampler=[indices.tolist() for indices in batches],
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
