"""Batches of images for the engine: pixels from wherever they are kept, changed, normalised and mixed in batches."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from core.config import AugmentConfig
from core.training.augmentation.augment import augment
from core.training.augmentation.draws import NUM_DRAWS
from core.training.augmentation.mixing import draw_mixture, mix, mix_labels
from core.training.batching.batches import Batches, OrderedBatches, TensorBatches
from core.training.batching.images import DECODE_THREADS, Images, Progress, fits_in_memory
from core.training.batching.pixels import FilePixels, MemoryPixels, Pixels, run_ahead
from core.training.batching.sampling import Draws, Order, Sampler, Shard, seeded

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
    """Images of one split as the network sees them.

    Args:
        images: which they are; their spec is how the network wants them.
        pixels: where they are kept, perhaps larger than the network wants where parts are cut out of them; an array
            uint8 (N, 3, S, S) is taken for memory, None reads the files every epoch.
        shuffle_seed: None for validation: the images in order, unchanged.
        augmentation: the changes to make.
        num_classes: needed for MixUp and CutMix.
    """

    def __init__(
        self,
        images: Images,
        pixels: Pixels | np.ndarray | None,
        batch_size: int,
        device: torch.device,
        *,
        shuffle_seed: int | None = None,
        augmentation: AugmentConfig | None = None,
        num_classes: int = 0,
        num_workers: int = 0,
        sampler: Sampler = "shuffled",
        shard: Shard | None = None,
    ) -> None:
        order = Order(len(images), batch_size, shuffle_seed, labels=images.labels, sampler=sampler, shard=shard)
        super().__init__(order)
        self.images, self.device, self.num_classes = images, device, num_classes
        if pixels is None:
            pixels = FilePixels(images, num_workers)
        self.pixels: Pixels = MemoryPixels(pixels) if isinstance(pixels, np.ndarray) else pixels
        self.augmentation = None if augmentation == AugmentConfig() else augmentation
        self.mixes = self.augmentation is not None and bool(self.augmentation.mixup or self.augmentation.cutmix)
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (images.spec.mean, images.spec.std))
        self._factor, self._offset = 1 / std, -mean / std

    def epoch(self, epoch: int, first_image: int = 0, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        batches = self._batches(epoch, first_image, batch_size)
        # On a CPU a thread would only take from the network what it gives.
        return batches if self.device.type == "cpu" else run_ahead(batches)

    def _batches(self, epoch: int, first_image: int, batch_size: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.order.indices(epoch)
        spans = [span for span in self.order.spans(first_image, batch_size) if _is_any(self.order.shard.part(*span))]
        places = [self._places(span) for span in spans]
        draws = Draws(self.order.seed or 0, epoch, NUM_DRAWS)
        pixels = self.pixels.batches([order[where] for where in places])
        for span, where, raw in zip(spans, places, pixels, strict=True):
            inputs, labels = self._prepared(raw, where, draws), self.images.labels[order[where]].to(self.device)
            yield self._mixed(inputs, labels, epoch, span[0]) if self.mixes else (inputs, labels)

    def _places(self, span: tuple[int, int]) -> Tensor:
        """Places in the epoch's order that this process needs: its part, and what the first of it mixes with."""
        start, stop = self.order.shard.part(*span)
        own = torch.arange(start, stop)
        if not self.mixes or self.order.shard.size == 1:
            return own
        return torch.cat([torch.tensor([start - 1 if start > span[0] else span[1] - 1]), own])

    def _prepared(self, pixels: Tensor, places: Tensor, draws: Draws) -> Tensor:
        pixels = pixels.to(self.device)
        if self.augmentation is None:
            return pixels.float().mul_(self._factor / 255).add_(self._offset)
        drawn = draws.at(places).to(self.device)
        changed = augment(pixels, self.augmentation, drawn, self.images.spec.size, self.images.spec.mean)
        return changed * self._factor + self._offset

    def _mixed(self, inputs: Tensor, labels: Tensor, epoch: int, start: int) -> tuple[Tensor, Tensor]:
        assert self.augmentation is not None
        size = self.images.spec.size
        mixture = draw_mixture(self.augmentation, size, self.order.seed or 0, epoch, start)
        if self.order.shard.size == 1:
            others, other_labels = inputs.roll(1, 0), labels.roll(1)
        else:
            others, other_labels, inputs, labels = inputs[:-1], labels[:-1], inputs[1:], labels[1:]
        return mix(inputs, others, mixture), mix_labels(labels, other_labels, mixture, self.num_classes)


def _is_any(part: tuple[int, int]) -> bool:
    return part[0] < part[1]
