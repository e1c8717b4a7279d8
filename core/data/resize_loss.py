"""What each resize policy does to a dataset's own images, from their widths and heights alone."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.preprocess import Interpolation, PreprocessSpec, ResizePolicy, decode, fit
from core.wording import percent, significant

SHOWN = 160  # pixels, the longer side of an example
_PIXEL_ART = 64  # pixels below which an image is enlarged without smoothing


@dataclass(frozen=True)
class ResizeLoss:
    """What a policy costs; shares are 0..1, means are over images, so that each counts the same.

    Attributes:
        discarded: mean share of an image's pixels that are cut off.
        most_discarded: of the image that loses most.
        border: mean share of the square that is border and no image.
        bent: mean factor by which one direction is stretched against the other; 1 keeps the shape.
    """

    policy: ResizePolicy
    discarded: float
    most_discarded: float
    border: float
    bent: float

    @property
    def is_harmless(self) -> bool:
        """Whether every image is square, so that it makes no difference."""
        return not self.discarded and not self.border and self.bent == 1

    @property
    def words(self) -> str:
        """`crop discards 31.0 % of the pixels, of one image 62.0 %.`"""
        if self.is_harmless:
            return f"{self.policy} changes nothing: every image is square."
        if self.policy == "crop":
            most = f", of one image {percent(self.most_discarded)}" if self.most_discarded > self.discarded else ""
            return f"crop discards {percent(self.discarded)} of the pixels{most}, and keeps the shape."
        if self.policy == "pad":
            return f"pad discards no pixel and keeps the shape; {percent(self.border)} of the square is grey border."
        return f"squash discards no pixel; shapes are stretched {significant(self.bent)} times on average."


def resize_losses(width: np.ndarray, height: np.ndarray) -> dict[ResizePolicy, ResizeLoss]:
    """Every policy's cost for images of these sizes.

    Of an image whose sides are as r : 1 (r at most 1), crop keeps the middle square, so 1 - r of it is lost; pad fills
    the square but for 1 - r of it; squash stretches the shorter side 1 / r times.

    Args:
        width, height: pixels, all above 0, at least one image.
    """
    slimness = np.minimum(width, height) / np.maximum(width, height)
    lost = 1 - slimness
    mean, most, bent = float(lost.mean()), float(lost.max()), float((1 / slimness).mean())
    return {
        "squash": ResizeLoss("squash", 0.0, 0.0, 0.0, bent),
        "pad": ResizeLoss("pad", 0.0, 0.0, mean, 1.0),
        "crop": ResizeLoss("crop", mean, most, 0.0, 1.0),
    }


def enlarged_share(width: np.ndarray, height: np.ndarray, size: int) -> float:
    """Share of images smaller than `size` pixels in both directions, to which enlarging adds pixels but no detail."""
    return float((np.maximum(width, height) < size).mean())


def examples(width: np.ndarray, height: np.ndarray) -> tuple[int, int]:
    """Places of an image of the median shape and of the one furthest from a square."""
    slimness = np.minimum(width, height) / np.maximum(width, height)
    middle = np.argsort(slimness, kind="stable")[(len(slimness) - 1) // 2]
    return int(middle), int(slimness.argmin())


def shown_whole(source: Path) -> bytes:
    """An image as it is, for showing beside its resized selves: PNG, its longer side `SHOWN` pixels.

    Raises:
        ImageReadError: the file is gone or damaged.
    """
    image = decode(source, at_least=SHOWN)
    scale = SHOWN / max(image.size)
    sides = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return _png(image.resize(sides, _smoothing(max(image.size))))


def shown_resized(source: Path, policy: ResizePolicy, size: int, interpolation: Interpolation) -> bytes:
    """What the policy makes of an image, at the detail the network gets: PNG, `SHOWN` pixels square.

    Raises:
        ImageReadError: the file is gone or damaged.
    """
    spec = PreprocessSpec(size, policy, interpolation, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    square = fit(decode(source, at_least=2 * size), spec)
    return _png(square.resize((SHOWN, SHOWN), _smoothing(size)))


def _smoothing(side: int) -> Image.Resampling:
    return Image.Resampling.NEAREST if side < _PIXEL_ART else Image.Resampling.LANCZOS


def _png(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
