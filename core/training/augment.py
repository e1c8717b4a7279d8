"""Random changes to a whole batch of training images at once, the same ones for the same seed, epoch and step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import AugmentConfig


def augment(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Move, turn, zoom, mirror, brighten: float (N, 3, H, W) to the same shape.

    Args:
        images: pixel values scaled to 0..1, before mean and std are taken off.
        generator: source of randomness, on the CPU so that every device draws the same.
    """
    if config.shift or config.zoom or config.rotate_degrees or config.horizontal_flip:
        images = _move(images, config, generator)
    if config.brightness or config.contrast:
        images = _recolour(images, config, generator)
    return images


def _move(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    num_images = len(images)
    angle = _spread(num_images, generator) * math.radians(config.rotate_degrees)
    scale = 1 + _spread(num_images, generator) * config.zoom
    shift = 2 * config.shift * _spread(2 * num_images, generator).view(num_images, 2)  # the grid spans -1..1
    mirror = torch.ones(num_images)
    if config.horizontal_flip:
        mirror = 1 - 2 * torch.randint(0, 2, (num_images,), generator=generator).float()
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    across = torch.stack([cosine * mirror, -sine, shift[:, 0]], dim=1)
    down = torch.stack([sine * mirror, cosine, shift[:, 1]], dim=1)
    transform = torch.stack([across, down], dim=1).to(images.device)
    grid = F.affine_grid(transform, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _recolour(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    brightness = 1 + _spread(len(images), generator) * config.brightness
    contrast = 1 + _spread(len(images), generator) * config.contrast
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    changed = (images - mean) * _per_image(contrast, images) + mean * _per_image(brightness, images)
    return changed.clamp(0, 1)


def _spread(count: int, generator: torch.Generator) -> Tensor:
    """Uniform in -1..1."""
    return 2 * torch.rand(count, generator=generator) - 1


def _per_image(values: Tensor, images: Tensor) -> Tensor:
    return values.to(images.device).view(-1, 1, 1, 1)
