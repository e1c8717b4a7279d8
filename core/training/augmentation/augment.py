"""Random changes to a whole batch of training images at once, the same ones for the same seed, epoch and place.

The order is that of torchvision's training recipes: where pixels lie, the policy, colours, and a blank rectangle last.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.config import AugmentConfig
from core.training.augmentation.colour import jitter
from core.training.augmentation.draws import Draw
from core.training.augmentation.geometry import move, spread, unit
from core.training.augmentation.policies import apply_policy

# Of the rectangle: share of the area, and how oblong. Zhong et al. 2017, as torchvision's RandomErasing.
ERASED_AREA, ERASED_ASPECT = (0.02, 0.33), 3.3


def augment(
    images: Tensor,
    config: AugmentConfig,
    draws: Tensor,
    size: int | None = None,
    blank: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Tensor:
    """Each image changed as its row of `draws` says; MixUp and CutMix are in `core.training.augmentation.mixing`.

    Args:
        images: (N, 3, S, S), uint8 0..255 or float 0..1.
        draws: float (N, NUM_DRAWS), uniform in 0..1, on the same device.
        size: side of the result, pixels; S by default.
        blank: colour of a blanked rectangle, 0..1.

    Returns:
        float32 0..1 (N, 3, size, size).
    """
    images = unit(move(images, config, draws, size or images.shape[-1]))
    if config.policy != "none":
        images = apply_policy(images, config.policy, config.policy_strength, draws)
    if config.brightness or config.contrast or config.saturation or config.hue:
        images = jitter(images, config, draws)
    if config.erasing:
        images = _erase(images, config.erasing, draws, blank)
    return images


def _erase(images: Tensor, share: float, draws: Tensor, blank: tuple[float, float, float]) -> Tensor:
    """A rectangle blanked in that share of the images; it lies inside the image."""
    low, high = ERASED_AREA
    area = low + draws[:, Draw.ERASE_AREA] * (high - low)
    aspect = torch.exp(spread(draws[:, Draw.ERASE_ASPECT]) * math.log(ERASED_ASPECT))
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    columns = _inside(images.shape[3], draws[:, Draw.ERASE_ACROSS], width)
    rows = _inside(images.shape[2], draws[:, Draw.ERASE_DOWN], height)
    erased = rows[:, :, None] & columns[:, None, :] & (draws[:, Draw.ERASE] < share)[:, None, None]
    colour = torch.tensor(blank, device=images.device).view(1, 3, 1, 1)
    return torch.where(erased[:, None], colour, images)


def _inside(length: int, place: Tensor, extent: Tensor) -> Tensor:
    """Which pixels of a side lie in a stretch of share `extent` at `place` of where it can be: bool (N, length)."""
    first = (place * (1 - extent) * length).round()[:, None]
    last = first + (extent * length).round()[:, None]
    pixels = torch.arange(length, device=place.device)
    return (first <= pixels) & (pixels < last)
