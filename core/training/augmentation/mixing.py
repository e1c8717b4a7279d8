"""MixUp and CutMix: each image of a batch takes something of the one before it, and its label with it.

MixUp: Zhang et al. 2017. CutMix: Yun et al. 2019. Pairs are neighbours in the batch, as in torchvision's transforms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import AugmentConfig


@dataclass(frozen=True)
class Mixture:
    """How a batch is mixed.

    Attributes:
        kept: share of its own that each image keeps, 0..1, and weight of its own label.
        box: left, top, right, bottom of what is pasted, in pixels; None where whole images are blended.
    """

    kept: float
    box: tuple[int, int, int, int] | None = None


def draw_mixture(config: AugmentConfig, size: int, *numbers: int) -> Mixture:
    """The mixture for a batch that `numbers` (seed, epoch, place) name, where `mixup`, `cutmix` or both are on.

    Args:
        size: side of the images, pixels.
    """
    generator = np.random.default_rng([*numbers, 1])
    blends = bool(generator.random() < 0.5) if config.mixup and config.cutmix else config.mixup > 0
    alpha = config.mixup if blends else config.cutmix
    kept = float(generator.beta(alpha, alpha))
    if blends:
        return Mixture(kept)
    return pasted_box(kept, float(generator.random()), float(generator.random()), size)


def pasted_box(kept: float, across: float, down: float, size: int) -> Mixture:
    """A square of area 1 - kept around the place (across, down), 0..1; what lies outside the image is cut off.

    Returns:
        The mixture with the share that is really kept.
    """
    half = size * math.sqrt(1 - kept) / 2

    def cut(value: float) -> int:
        return min(size, max(0, round(value)))

    left, right = cut(across * size - half), cut(across * size + half)
    top, bottom = cut(down * size - half), cut(down * size + half)
    return Mixture(1 - (right - left) * (bottom - top) / size**2, (left, top, right, bottom))


def mix(inputs: Tensor, others: Tensor, mixture: Mixture) -> Tensor:
    """Images (N, 3, S, S) with something of `others`, of the same shape; `inputs` may be changed in place."""
    if mixture.box is None:
        return torch.lerp(others, inputs, mixture.kept)
    left, top, right, bottom = mixture.box
    inputs = inputs.clone()
    inputs[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return inputs


def mix_labels(labels: Tensor, others: Tensor, mixture: Mixture, num_classes: int) -> Tensor:
    """Targets float32 (N, num_classes), rows summing to 1, from class indices (N,)."""
    own, other = (F.one_hot(indices, num_classes).float() for indices in (labels, others))
    return torch.lerp(other, own, mixture.kept)
