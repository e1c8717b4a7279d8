"""What the engine is given: batches of inputs and targets, at any place of any epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from core.training.batching.sampling import Draws, Order, Sampler, Shard


class Batches(Protocol):
    """One pass over some images for a given epoch.

    Attributes:
        num_images: images in an epoch, over all processes.
        batch_size: images in a batch, over all processes.
    """

    num_images: int
    batch_size: int

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def sizes(self, first_image: int = 0, batch_size: int | None = None) -> list[int]:
        """Images in each batch that `epoch` with the same arguments gives, over all processes.

        Their running sum is the position in the epoch, which a later call can go on from.
        """
        ...

    def epoch(self, epoch: int, first_image: int = 0, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's part of each batch, from the image at `first_image` in the epoch's order on.

        Gives inputs, float32 and ready for the network, and targets, int64 (N,) or where labels are mixed float32
        (N, num_classes), both on the training device. A smaller `batch_size` than usual gives the same images in the
        same order. For training every process gets the same number of batches.
        """
        ...


class OrderedBatches:
    """The part of `Batches` that follows from an order."""

    def __init__(self, order: Order) -> None:
        self.order = order

    @property
    def num_images(self) -> int:
        return self.order.num_images

    @property
    def batch_size(self) -> int:
        return self.order.batch_size

    def __len__(self) -> int:
        return len(self.order.spans())

    def sizes(self, first_image: int = 0, batch_size: int | None = None) -> list[int]:
        return [stop - start for start, stop in self.order.spans(first_image, batch_size)]


class TensorBatches(OrderedBatches):
    """Inputs that are ready as they are, such as features.

    Args:
        inputs: float32 (N, num_features), or (N, V, num_features) for V views of each image, of which every epoch
            draws one; or images (N, 3, H, W).
        labels: int64 (N,).
        shuffle_seed: None for validation.
        targets: where labels are mixed, what to learn in place of them: float32 (N, V, num_classes).
    """

    def __init__(
        self,
        inputs: Tensor,
        labels: Tensor,
        batch_size: int,
        device: torch.device,
        shuffle_seed: int | None = None,
        *,
        sampler: Sampler = "shuffled",
        shard: Shard | None = None,
        targets: Tensor | None = None,
    ) -> None:
        super().__init__(Order(len(inputs), batch_size, shuffle_seed, labels=labels, sampler=sampler, shard=shard))
        self.inputs, self.labels = inputs.to(device), labels.to(device)
        self.targets = None if targets is None else targets.to(device)

    def epoch(self, epoch: int, first_image: int = 0, batch_size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.order.indices(epoch)
        draws = Draws(self.order.seed or 0, epoch, 1)
        for span in self.order.spans(first_image, batch_size):
            start, stop = self.order.shard.part(*span)
            if start == stop:
                continue
            indices = order[start:stop]
            if self.inputs.ndim != 3:
                yield self.inputs[indices], self.labels[indices]
                continue
            view = (draws.at(torch.arange(start, stop))[:, 0] * self.inputs.shape[1]).long()
            labels = self.labels[indices] if self.targets is None else self.targets[indices, view]
            yield self.inputs[indices, view], labels
