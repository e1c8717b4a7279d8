"""Small copies of an image for the browser; pillow alone."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

THUMB, LARGE = 160, 1024  # pixels, the longer side; of thumbnails about
PIXEL_ART = 64  # pixels; up to here an image is sent exactly, as PNG, and is quicker made than looked up
_QUALITY = 85


def thumbnail_of(upright: Image.Image) -> Image.Image:
    """The image with its longer side as near to `THUMB` pixels as a whole factor brings it: at most half as much again.

    Whole blocks of pixels are averaged, at a third of the cost of any filter for the exact size.
    """
    factor = max(1, round(max(upright.size) / THUMB))
    return upright.reduce(factor) if factor > 1 else upright


def small_copy(upright: Image.Image, size: int) -> Image.Image:
    """The image with its longer side at most `size` pixels, never enlarged; the aspect ratio is kept."""
    width, height = upright.size
    longest = max(width, height)
    if longest <= size:
        return upright
    target = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    gap = 2.0 if longest > 4 * size else None  # far from the target, whole pixels are averaged first
    return upright.resize(target, Image.Resampling.LANCZOS, reducing_gap=gap)


def jpeg(image: Image.Image) -> bytes:
    """The image as the bytes of a JPEG file."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
