"""What goes wrong with photographs, at five severities, done to pixels as the network is given them.

After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations" (2019),
whose list is longer; lengths are shares of the image's side, so that a severity means the same for small and large
images. Everything is seeded: the same image at the same severity is spoiled in the same way.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)
Spoil = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One thing that goes wrong.

    Attributes:
        name: in files and words.
        title: at the head of a column or a line.
        amounts: at each severity, in units of `unit`.
        unit: what follows the amount in words.
        spoil: (uint8 (size, size, 3), amount, generator) -> the same shape.
    """

    name: str
    title: str
    amounts: tuple[float, float, float, float, float]
    unit: str
    spoil: Spoil

    def apply(self, pixels_HWC: np.ndarray, severity: int, seed: tuple[int, ...]) -> np.ndarray:
        """The image spoiled: uint8, same shape.

        Args:
            severity: 1 to 5.
            seed: of this image.
        """
        generator = np.random.default_rng([*seed, severity, *self.name.encode()])
        return self.spoil(pixels_HWC, self.amounts[severity - 1], generator)

    def amount(self, severity: int) -> str:
        """How much, in words: `quality 40`, `10 degrees`."""
        return self.unit.format(f"{self.amounts[severity - 1]:g}")


def _blur(pixels_HWC: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    radius = share / 100 * len(pixels_HWC)
    return np.asarray(Image.fromarray(pixels_HWC).filter(ImageFilter.GaussianBlur(radius)))


def _noise(pixels_HWC: np.ndarray, deviation: float, generator: np.random.Generator) -> np.ndarray:
    noise = generator.standard_normal(pixels_HWC.shape, np.float32) * np.float32(255 * deviation)
    return _to_bytes(pixels_HWC + noise)


def _jpeg(pixels_HWC: np.ndarray, quality: float, generator: np.random.Generator) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels_HWC).save(stream, "JPEG", quality=int(quality))
    return np.asarray(Image.open(stream))


def _lighten(pixels_HWC: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    return _to_bytes(pixels_HWC + np.float32(255 * share))


def _darken(pixels_HWC: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    return _to_bytes(pixels_HWC * np.float32(1 - share))


def _rotate(pixels_HWC: np.ndarray, degrees: float, generator: np.random.Generator) -> np.ndarray:
    """Either way; what turns into view at the corners mirrors what is there."""
    size, margin = len(pixels_HWC), len(pixels_HWC) // 4 + 1  # a corner turned by 45 degrees needs 0.21 of the side
    wide = np.pad(pixels_HWC, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    angle = degrees if generator.random() < 0.5 else -degrees
    turned = Image.fromarray(wide).rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(turned)[margin : margin + size, margin : margin + size]


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return values.round().clip(0, 255).astype(np.uint8)


CORRUPTIONS = (
    Corruption("blur", "Blur", (1, 1.5, 2, 3, 4.5), "radius {} % of the side", _blur),
    Corruption("noise", "Noise", (0.04, 0.08, 0.12, 0.18, 0.26), "standard deviation {} of the range", _noise),
    Corruption("jpeg", "JPEG compression", (60, 40, 25, 15, 8), "quality {}", _jpeg),
    Corruption("lighter", "Lighter", (0.1, 0.2, 0.3, 0.4, 0.5), "{} of the range added", _lighten),
    Corruption("darker", "Darker", (0.2, 0.35, 0.5, 0.65, 0.8), "{} of the light taken", _darken),
    Corruption("rotation", "Rotation", (5, 10, 20, 30, 45), "{} degrees", _rotate),
)
