"""Random crops, flips, shifts, zooms and turns of a whole batch, in one resampling or in none."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import AugmentConfig
from core.training.augmentation.draws import Draw

MOST_OBLONG = 4 / 3  # of a crop's sides, as Szegedy et al. 2015 and torchvision's RandomResizedCrop


def move(images: Tensor, config: AugmentConfig, draws: Tensor, size: int) -> Tensor:
    """Each image cropped, mirrored, turned, zoomed and moved as its row of `draws` says.

    Args:
        images: (N, 3, S, S), uint8 0..255 or float 0..1.
        draws: float (N, NUM_DRAWS) on the same device.
        size: side of the result, pixels.

    Returns:
        (N, 3, size, size). Where flips and shifts by whole pixels are all there is to do, of the same dtype and with
        the same pixel values; otherwise float 0..1, resampled bilinearly. What lies beyond an edge repeats the edge.
    """
    resamples = config.crop_scale < 1 or config.zoom or config.rotate_degrees or images.shape[-1] != size
    if resamples:
        return warp(unit(images), _transform(config, draws), size, "border")
    if config.shift:
        return _shifted(images, config, draws)
    if config.horizontal_flip:
        images = torch.where(_chosen(draws, Draw.FLIP_ACROSS), images.flip(3), images)
    if config.vertical_flip:
        images = torch.where(_chosen(draws, Draw.FLIP_DOWN), images.flip(2), images)
    return images


def unit(images: Tensor) -> Tensor:
    """Pixel values as float32 in 0..1."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def spread(values: Tensor) -> Tensor:
    """From 0..1 to -1..1."""
    return 2 * values - 1


def warp(images: Tensor, transform: Tensor, size: int, padding: str) -> Tensor:
    """Resample: `transform` (N, 2, 3) says where in the old image each place of the new one lies, both in -1..1."""
    grid = F.affine_grid(transform, [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)


def _transform(config: AugmentConfig, draws: Tensor) -> Tensor:
    """Turn, zoom and shift; then mirror; then put into the crop. Read from the new image to the old."""
    angle = spread(draws[:, Draw.ANGLE]) * math.radians(config.rotate_degrees)
    scale = 1 + spread(draws[:, Draw.ZOOM]) * config.zoom
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = 2 * config.shift * spread(draws[:, [Draw.SHIFT_ACROSS, Draw.SHIFT_DOWN]])  # the grid spans -1..1
    width, height = _crop(config.crop_scale, draws)
    mirror_across = 1 - 2 * (_flag(draws, Draw.FLIP_ACROSS) & config.horizontal_flip).float()
    mirror_down = 1 - 2 * (_flag(draws, Draw.FLIP_DOWN) & config.vertical_flip).float()
    across, down = width * mirror_across, height * mirror_down
    left, top = spread(draws[:, Draw.CROP_ACROSS]) * (1 - width), spread(draws[:, Draw.CROP_DOWN]) * (1 - height)
    first = torch.stack([across * cosine, -across * sine, left + across * shift[:, 0]], dim=1)
    second = torch.stack([down * sine, down * cosine, top + down * shift[:, 1]], dim=1)
    return torch.stack([first, second], dim=1)


def _crop(least_area: float, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height as shares of the image: area uniform, aspect log-uniform among those that fit into it."""
    area = least_area + draws[:, Draw.CROP_AREA] * (1 - least_area)
    widest = (-area.log()).clamp(max=math.log(MOST_OBLONG))
    aspect = torch.exp(spread(draws[:, Draw.CROP_ASPECT]) * widest)
    return (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)


def _shifted(images: Tensor, config: AugmentConfig, draws: Tensor) -> Tensor:
    """Whole pixels alone: rows are picked, then columns. Ten times as fast as resampling."""
    count, channels, height, width = images.shape
    rows = _sources(height, config, draws, Draw.SHIFT_DOWN, config.vertical_flip, Draw.FLIP_DOWN)
    columns = _sources(width, config, draws, Draw.SHIFT_ACROSS, config.horizontal_flip, Draw.FLIP_ACROSS)
    first_rows = torch.arange(count * channels, device=images.device).view(count, channels, 1) * height
    moved = images.reshape(-1, width).index_select(0, (first_rows + rows[:, None, :]).flatten())
    wanted = columns[:, None, None, :].expand(images.shape)
    return moved.view(images.shape).gather(3, wanted)


def _sources(
    length: int, config: AugmentConfig, draws: Tensor, shift_column: Draw, flips: bool, flip_column: Draw
) -> Tensor:
    """Which old row (or column) each new one shows, int64 (N, length)."""
    shift = (spread(draws[:, shift_column]) * config.shift * length).round().long()
    places = torch.arange(length, device=draws.device) + shift[:, None]
    if flips:
        places = torch.where(_flag(draws, flip_column)[:, None], length - 1 - places, places)
    return places.clamp(0, length - 1)


def _flag(draws: Tensor, column: Draw) -> Tensor:
    return draws[:, column] < 0.5


def _chosen(draws: Tensor, column: Draw) -> Tensor:
    return _flag(draws, column).view(-1, 1, 1, 1)
