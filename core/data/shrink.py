"""Small copies of an image; with OpenCV and numpy alone, as the processes that read images load little else."""

from __future__ import annotations

import cv2
import numpy as np

THUMB, LARGE = 160, 1024  # pixels, the longer side; of thumbnails about
PIXEL_ART = 64  # pixels; up to here an image is sent exactly, as PNG, and is quicker made than looked up
_QUALITY = 85


def thumbnail_of(upright_HWC: np.ndarray) -> np.ndarray:
    """The image with its longer side as near to `THUMB` pixels as a whole factor brings it: at most half as much again.

    Whole blocks of pixels are averaged, at a third of the cost of any filter for the exact size.
    """
    return averaged(upright_HWC, max(1, round(max(upright_HWC.shape[:2]) / THUMB)))


def averaged(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Each block of `factor` x `factor` pixels as one: uint8, (H, W) or (H, W, C).

    What a last block lacks is filled with the edge's pixels; blocks that are whole are averaged six times as fast.
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape[:2]
    below, right = -height % factor, -width % factor
    if below or right:
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, ((width + right) // factor, (height + below) // factor), interpolation=cv2.INTER_AREA)


def jpeg(pixels_HWC: np.ndarray) -> bytes:
    """An image, RGB 0..255, as the bytes of a JPEG file."""
    made, file = cv2.imencode(".jpg", cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert made
    return file.tobytes()
