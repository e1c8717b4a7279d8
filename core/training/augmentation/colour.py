"""Brightness, contrast, saturation and hue of a whole batch, as one multiplication of colours by a matrix an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from core.config import AugmentConfig
from core.training.augmentation.draws import Draw
from core.training.augmentation.geometry import spread

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue look: ITU-R BT.601, as Pillow and torchvision
# From RGB to brightness and two axes of colour (FCC NTSC, 1953); a turn of those two is a change of hue.
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def jitter(images: Tensor, config: AugmentConfig, draws: Tensor) -> Tensor:
    """Colours changed by up to the shares in the config: float 0..1 (N, 3, H, W) to the same.

    The factors are those of torchvision's ColorJitter; the order is fixed, values are cut to 0..1 once at the end,
    and hue turns the plane of colours of YIQ in place of HSV's circle, which keeps the brightness.
    """

    def factor(column: Draw, most: float) -> Tensor:
        return 1 + spread(draws[:, column]) * most

    return recoloured(
        images,
        brightness=factor(Draw.BRIGHTNESS, config.brightness),
        contrast=factor(Draw.CONTRAST, config.contrast),
        saturation=factor(Draw.SATURATION, config.saturation),
        hue=spread(draws[:, Draw.HUE]) * config.hue if config.hue else None,
    )


def recoloured(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor | None = None
) -> Tensor:
    """Float 0..1 (N, 3, H, W) to the same, by factors (N,) of which 1 changes nothing, and shares of a turn (N,).

    Brightness multiplies all values, contrast their distance from the mean grey, saturation that from each pixel's
    own grey. Greys stay greys of the same value through the last two, so all four are one matrix and one offset.
    """
    luma = torch.tensor(LUMA, device=images.device)
    mean_grey = brightness * (images.mean(dim=(2, 3)) @ luma)
    matrix = saturation.view(-1, 1, 1) * torch.eye(3, device=images.device) + (1 - saturation).view(-1, 1, 1) * luma
    if hue is not None:
        matrix = _turned(hue) @ matrix
    matrix = (brightness * contrast).view(-1, 1, 1) * matrix
    offset = ((1 - contrast) * mean_grey).view(-1, 1, 1)
    mixed = torch.baddbmm(offset, matrix, images.flatten(2))
    return mixed.view(images.shape).clamp_(0, 1)


def _turned(hue: Tensor) -> Tensor:
    """The matrix (N, 3, 3) on RGB that turns colours by shares of the circle."""
    to_yiq = torch.tensor(_YIQ, dtype=torch.float64)
    from_yiq = torch.linalg.inv(to_yiq)
    angle = hue.double().cpu() * 2 * math.pi
    turn = torch.eye(3, dtype=torch.float64).repeat(len(hue), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -torch.sin(angle), torch.sin(angle)
    return (from_yiq @ turn @ to_yiq).float().to(hue.device)
