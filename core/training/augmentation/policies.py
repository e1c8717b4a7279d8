"""RandAugment and TrivialAugment on whole batches: each image gets the changes it drew, each change runs once a batch.

RandAugment: Cubuk et al. 2019, two changes of one strength. TrivialAugment (wide): Müller & Hutter 2021, one change of
a strength drawn for it. The fourteen changes and their ranges are those of torchvision's transforms of these names;
shifts are shares of the side, so that they mean the same for images of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from core.training.augmentation.colour import recoloured
from core.training.augmentation.draws import Draw
from core.training.augmentation.geometry import warp

CHANGES = (
    *("identity", "shear_across", "shear_down", "shift_across", "shift_down", "rotate"),
    *("brightness", "saturation", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
_MOVES = ("shear_across", "shear_down", "shift_across", "shift_down", "rotate")
_COLOURS = ("brightness", "saturation", "contrast")
_STEPS = 30  # strengths are whole numbers from 0 to this


@dataclass(frozen=True)
class Ranges:
    """What the greatest strength means: shear as a slope, shift as a share of the side, degrees, factors, bits lost."""

    shear: float
    shift: float
    degrees: float
    colour: float
    bits: int


RANDAUGMENT = Ranges(shear=0.3, shift=150 / 331, degrees=30, colour=0.9, bits=4)
TRIVIALAUGMENT = Ranges(shear=0.99, shift=32 / 224, degrees=135, colour=0.99, bits=6)


def apply_policy(
    images: Tensor, policy: Literal["randaugment", "trivialaugment"], strength: int, draws: Tensor
) -> Tensor:
    """Float 0..1 (N, 3, H, W) to the same, changed by the policy.

    Args:
        strength: 1 to 30, for randaugment.
        draws: float (N, NUM_DRAWS) on the same device.
    """
    first = (Draw.FIRST_CHANGE, Draw.FIRST_STRENGTH, Draw.FIRST_SIGN)
    second = (Draw.SECOND_CHANGE, Draw.SECOND_STRENGTH, Draw.SECOND_SIGN)
    for change, drawn_strength, sign in (first, second) if policy == "randaugment" else (first,):
        which = (draws[:, change] * len(CHANGES)).long()
        if policy == "randaugment":
            share, ranges = torch.full_like(draws[:, 0], strength / _STEPS), RANDAUGMENT
        else:
            share, ranges = (draws[:, drawn_strength] * (_STEPS + 1)).floor() / _STEPS, TRIVIALAUGMENT
        signed = torch.where(draws[:, sign] < 0.5, -share, share)
        images = change_each(images, which, share, signed, ranges)
    return images


def change_each(images: Tensor, which: Tensor, share: Tensor, signed: Tensor, ranges: Ranges) -> Tensor:
    """One change an image.

    Args:
        images: float 0..1 (N, 3, H, W).
        which: places in `CHANGES`, int64 (N,).
        share: of the greatest strength, 0..1 (N,), for changes that go one way.
        signed: the same with a sign, for those that go two ways.
    """

    def is_any(names: tuple[str, ...]) -> Tensor:
        return sum((which == CHANGES.index(name) for name in names), torch.zeros_like(which)).bool()

    by_itself: list[tuple[tuple[str, ...], Callable[[Tensor, Tensor], Tensor]]] = [
        (_MOVES, lambda part, at: _moved(part, which[at], signed[at], ranges)),
        (_COLOURS, lambda part, at: _coloured(part, which[at], signed[at] * ranges.colour)),
        (("sharpness",), lambda part, at: sharpened(part, 1 + signed[at] * ranges.colour)),
        (("posterize",), lambda part, at: posterised(part, (share[at] * ranges.bits).round())),
        (("solarize",), lambda part, at: solarised(part, 1 - share[at])),
        (("autocontrast",), lambda part, at: stretched(part)),
        (("equalize",), lambda part, at: equalised(part)),
    ]
    changed = images.clone()
    for names, change in by_itself:
        at = is_any(names).nonzero().flatten()
        if len(at):
            changed[at] = change(images[at], at)
    return changed


def sharpened(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with a smoothed copy: factor 0 is smooth, 1 as it was, 2 sharp. The outermost pixels stay, as in Pillow."""
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    smooth = images.clone()
    inner = F.conv2d(images, (kernel / 13).expand(3, 1, 3, 3), groups=3)
    smooth[:, :, 1:-1, 1:-1] = inner
    return torch.lerp(smooth, images, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def posterised(images: Tensor, bits: Tensor) -> Tensor:
    """Each value of 8 bits without its last `bits` (N,) ones."""
    grain = torch.exp2(bits).view(-1, 1, 1, 1)
    return ((images * 255).round() / grain).floor() * grain / 255


def solarised(images: Tensor, threshold: Tensor) -> Tensor:
    """Values from `threshold` (N,), 0..1, on are inverted."""
    return torch.where(images >= threshold.view(-1, 1, 1, 1), 1 - images, images)


def stretched(images: Tensor) -> Tensor:
    """Each channel from its darkest to its lightest value over the whole range; one of a single value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


def equalised(images: Tensor) -> Tensor:
    """Each channel's 256 values spread so that all are about equally frequent, by Pillow's rule."""
    values = (images * 255).round().long().flatten(2)
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(2, values, torch.ones_like(values))
    last = counts.gather(2, values.amax(dim=2, keepdim=True))
    step = (values.shape[2] - last) // 255
    before = counts.cumsum(dim=2) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    return table.gather(2, values).view(images.shape).float() / 255


def _moved(images: Tensor, which: Tensor, signed: Tensor, ranges: Ranges) -> Tensor:
    """Sheared, shifted or turned; what comes in from outside is mid-grey."""

    def amount(name: str, most: float) -> Tensor:
        return torch.where(which == CHANGES.index(name), signed * most, 0.0)

    angle = amount("rotate", math.radians(ranges.degrees))
    cosine, sine = torch.cos(angle), torch.sin(angle)
    first = [cosine, amount("shear_across", ranges.shear) - sine, 2 * amount("shift_across", ranges.shift)]
    second = [sine + amount("shear_down", ranges.shear), cosine, 2 * amount("shift_down", ranges.shift)]
    transform = torch.stack([torch.stack(first, dim=1), torch.stack(second, dim=1)], dim=1)
    return warp(images - 0.5, transform, images.shape[-1], "zeros") + 0.5


def _coloured(images: Tensor, which: Tensor, change: Tensor) -> Tensor:
    return recoloured(images, **{name: torch.where(which == CHANGES.index(name), 1 + change, 1.0) for name in _COLOURS})
