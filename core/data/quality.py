"""What is measured of one decoded image, for statistics, quality checks and the search for duplicates.

All of it comes from the one decoded image the thumbnail is made of. With OpenCV and numpy alone, as the processes that
read images load little else; and frugal, as a million images pass here: most arrays are a few thousand numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from core.data.shrink import averaged

HASH_SIDE = 16  # frequencies a side: 256 bits
LOW_BITS = 64  # the first ones, of the lower 8 x 8 frequencies
_GRID = 32  # pixels, about the longer side of the image that is hashed
_SAMPLE = 48  # pixels a side of the sample statistics are taken from
_SHARPNESS_BELOW = 360  # pixels, the longer side: larger images are halved first, so that one scale is compared
_FAR = 4  # pixels
_FREQUENCIES = np.pi / 2 * np.arange(HASH_SIDE, dtype=np.float32)[:, None]
_LEAST_CONTRAST = 0.012  # standard deviation of brightness below which there is no structure to compare
_LEAST_SIDE = 12  # pixels; in fewer the same digit written twice is as alike as a picture and its copy
_AT_ONCE = 8  # images measured together: the arrays of more leave the cache, and their memory is fetched anew each time
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_OPPONENTS = np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)  # red - green, yellow - blue


def _low_first() -> np.ndarray:
    """Places of the coefficients so that those of the lower half of the frequencies come first."""
    row, column = np.divmod(np.arange(HASH_SIDE**2), HASH_SIDE)
    return np.argsort(np.maximum(row, column) >= HASH_SIDE // 2, kind="stable")


_LOW_FIRST = _low_first()


class Measures(NamedTuple):
    """Of one image; see `core.data.manifest.COLUMNS`. Brightness and colours are on a scale of 0..1."""

    perceptual_hash: str | None = None
    brightness: float | None = None
    contrast: float | None = None
    darkest: float | None = None
    brightest: float | None = None
    sharpness: float | None = None
    entropy: float | None = None
    colourfulness: float | None = None
    mean_r: float | None = None
    mean_g: float | None = None
    mean_b: float | None = None
    std_r: float | None = None
    std_g: float | None = None
    std_b: float | None = None


class Sketch(NamedTuple):
    """What is kept of an image until several are measured at once: numpy's calls cost more than their arithmetic.

    Attributes:
        pixels: a sample of RGB pixels, uint8 (number, 3).
    """

    perceptual_hash: str | None
    sharpness: float | None
    pixels: np.ndarray


def sketch(upright_HWC: np.ndarray, small_HWC: np.ndarray) -> Sketch:
    """What `measure` needs of one image.

    Args:
        upright_HWC: RGB 0..255, as decoded, perhaps at reduced scale.
        small_HWC: the same image in few pixels, such as its thumbnail.
    """
    sample = small_HWC
    if max(sample.shape[:2]) > _SAMPLE:  # picked, not averaged, pixels: averages would be less varied than the image is
        sample = cv2.resize(sample, (_SAMPLE, _SAMPLE), interpolation=cv2.INTER_NEAREST_EXACT)
    grey = cv2.cvtColor(upright_HWC, cv2.COLOR_RGB2GRAY)
    alike = perceptual_hash(grey) if min(grey.shape) >= _LEAST_SIDE else None
    return Sketch(alike, sharpness(grey), sample.reshape(-1, 3))


def measure(sketches: Sequence[Sketch]) -> list[Measures]:
    """Everything of some images, in their order."""
    measures: dict[int, Measures] = {}
    for number in {len(one.pixels) for one in sketches}:
        places = [place for place, one in enumerate(sketches) if len(one.pixels) == number]
        for some in (places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)):
            measures |= zip(some, _measured([sketches[place] for place in some]), strict=True)
    return [measures[place] for place in range(len(sketches))]


def _measured(sketches: list[Sketch]) -> list[Measures]:
    """Of images with samples of one size."""
    pixels = np.stack([one.pixels for one in sketches])
    planes = pixels.transpose(0, 2, 1).astype(np.float32, order="C")
    levels = _histograms(planes)
    number = pixels.shape[1]
    margin = number // 100
    upto = levels.cumsum(axis=1)
    darkest = (upto <= margin).sum(axis=1) / 255
    brightest = (upto <= number - 1 - margin).sum(axis=1) / 255
    shares = levels / number
    entropy = -(shares * np.log2(shares, out=np.zeros_like(shares), where=levels > 0)).sum(axis=1)
    means, covariance = _moments(planes)  # sums of whole numbers hardly lose anything in float32
    means, covariance = means / 255, covariance / 255**2
    contrast = _deviation(_LUMA, covariance)
    table = np.column_stack(
        [
            means @ _LUMA,
            contrast,
            darkest,
            brightest,
            entropy / 8,
            _colourfulness(means, covariance),
            means,
            np.sqrt(np.maximum(covariance.diagonal(axis1=1, axis2=2), 0)),
        ]
    )
    rows = table.round(6).tolist()  # beyond that, figures depend on how many images were measured together
    return [
        Measures(one.perceptual_hash if spread >= _LEAST_CONTRAST else None, *row[:4], one.sharpness, *row[4:])
        for one, spread, row in zip(sketches, contrast.tolist(), rows, strict=True)
    ]


def _histograms(planes: np.ndarray) -> np.ndarray:
    """How often each level of brightness occurs: planes of RGB 0..255 (images, 3, number) -> (images, 256)."""
    levels = (_LUMA @ planes + np.float32(0.5)).astype(np.intp) + 256 * np.arange(len(planes))[:, None]
    return np.bincount(levels.ravel(), minlength=256 * len(planes)).reshape(-1, 256)


def perceptual_hash(grey_HW: np.ndarray) -> str:
    """64 hexadecimal digits: where the low frequencies of the discrete cosine transform are above their median.

    Pictures that look the same differ in few bits (see `core.data.duplicates`), whatever their size, brightness or
    compression. The method is pHash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions,
    2010) with 16 x 16 frequencies; the first `LOW_BITS` bits are those of the lower 8 x 8.
    """
    height, width = grey_HW.shape
    step = max(1, max(height, width) // _GRID)
    blocks = averaged(grey_HW, step).astype(np.float32)
    coefficients = (_cosines(height, step) @ blocks @ _cosines(width, step).T).ravel()[_LOW_FIRST]
    middle = np.sort(coefficients)[len(coefficients) // 2]
    return np.packbits(coefficients > middle).tobytes().hex()


@lru_cache(maxsize=1024)
def _cosines(num_pixels: int, step: int) -> np.ndarray:
    """The lowest rows of the DCT-II matrix for blocks of `step` pixels: (HASH_SIDE, blocks).

    The last block may be of fewer pixels: it counts for less and has its middle elsewhere, or a picture and its
    smaller copy would differ at that edge. Zero beyond as many frequencies as there are blocks.
    """
    begin = np.arange(0, num_pixels, step, dtype=np.float32)
    end = np.minimum(begin + step, num_pixels)
    rows = np.cos(_FREQUENCIES * ((begin + end) / num_pixels)) * (end - begin)
    rows[len(begin) :] = 0
    return rows


def sharpness(grey_HW: np.ndarray) -> float | None:
    """How much neighbouring pixels differ against pixels four apart, 0..1, whatever the contrast; None where flat.

    The structure function of brightness, S(d) = mean (I(x + d) - I(x))^2, at d = 1 over d = 4. Where all detail is
    wider than four pixels I is a straight line at that scale, and the ratio is 1/16, which gives 0; white noise gives
    1. Photographs in focus lie about 0.15: their spectrum falls with the square of the frequency (Field, Relations
    between the statistics of natural images and the response properties of cortical cells, 1987), and blur makes it
    fall faster. Being squared, the strongest edges decide: a sharp subject before a soft background is sharp.
    """
    if max(grey_HW.shape) >= _SHARPNESS_BELOW and min(grey_HW.shape) > 2 * _FAR:
        grey_HW = averaged(grey_HW, 2)
    if min(grey_HW.shape) <= _FAR:
        return None
    near, far = _structure(grey_HW, 1), _structure(grey_HW, _FAR)
    least = 1 / _FAR**2
    return min(max((near / far - least) / (1 - least), 0.0), 1.0) if far else None


def _structure(grey_HW: np.ndarray, distance: int) -> float:
    """S at one distance, across and down."""
    pairs = (
        (grey_HW[:, distance:], grey_HW[:, :-distance]),
        (grey_HW[distance:], grey_HW[:-distance]),
    )
    return sum(cv2.norm(one, other, cv2.NORM_L2SQR) / one.size for one, other in pairs)


def colourfulness(pixels: np.ndarray) -> float:
    """How far the colours are from grey and from each other; 0 is grey, above 0.2 is vivid.

    Hasler and Suesstrunk, Measuring colourfulness in natural images, 2003, on channels of 0..1.

    Args:
        pixels: RGB, float32, 0..1, (number, 3).
    """
    return float(_colourfulness(*_moments(pixels.T[None]))[0])


def _moments(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the channels and their covariance: all spreads of weighted sums of channels follow from them.

    (images, 3, number) -> (images, 3) and (images, 3, 3).
    """
    number = planes.shape[2]
    means = planes.mean(axis=2)
    products = np.vecdot(planes[:, :, None], planes[:, None]) / number  # in a fifth of a matrix product's time
    return means, products - means[:, :, None] * means[:, None, :]


def _deviation(weights: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(covariance @ weights @ weights, 0))


def _colourfulness(means: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    spread = np.sqrt(sum(_deviation(weights, covariance) ** 2 for weights in _OPPONENTS))
    return spread + 0.3 * np.hypot(*(_OPPONENTS @ means.T))
