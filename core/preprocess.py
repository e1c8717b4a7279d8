"""The one way from image bytes to an array: training, pages, CLI, REST and exports all come through here.

Pillow and numpy alone, so that a process that only shows or classifies images needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

from core.errors import ImageReadError

ResizePolicy = Literal["squash", "pad", "crop"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]

MAX_PIXELS = 178_956_970  # Pillow's own line between a large photo and a decompression bomb
DECODE_RULES = 1  # raised when `decode` gives other pixels for the same bytes
_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # `open_image` refuses those outright
# Of odd metadata, in words that differ from file to file: a server would write and remember each of them.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_PROGRAMS = {"EPS"}  # Pillow would have Ghostscript run what somebody sent
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def _is_heic(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


def _open_heic(stream: IO[bytes], filename: str | bytes = "") -> Image.Image:
    try:
        from pillow_heif.as_plugin import HeifImageFile  # its library of 4 MB is loaded at the first such photo
    except ImportError as error:
        raise ImageReadError("A HEIC photo, which needs one more package: pip install pillow-heif.") from error
    return HeifImageFile(stream, filename)


Image.register_open("HEIF", _open_heic, _is_heic)


@dataclass(frozen=True)
class PreprocessSpec:
    """Everything that decides which numbers the network sees for an image.

    Attributes:
        size: height and width of the result, pixels.
        resize: what happens to an image that is not square. `squash` keeps every pixel and changes the aspect
            ratio, `pad` keeps both and adds grey borders, `crop` keeps the aspect ratio and loses the edges.
        interpolation: the resampling filter, always with antialiasing.
        mean, std: per channel (R, G, B), on pixel values scaled to 0..1.
        padding: the colour of borders under `pad`, RGB 0..255.
        decode_rules: version of the decoding rules in this module.
    """

    size: int
    resize: ResizePolicy
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    padding: tuple[int, int, int] = (127, 127, 127)
    decode_rules: int = DECODE_RULES

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that change when any part of the spec does."""
        canonical = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.blake2b(canonical, digest_size=8).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> PreprocessSpec:
        """The spec saved by `to_dict`; lists become tuples again."""
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})


def open_image(source: Path | bytes) -> Image.Image:
    """Open an image, refusing decompression bombs and what is a program before a pixel is decoded.

    Raises:
        ImageReadError: no image, or one of more than `MAX_PIXELS` pixels.
    """
    try:
        image = Image.open(BytesIO(source) if isinstance(source, bytes) else source)
    except Exception as error:  # damaged headers raise nearly anything from inside Pillow's plugins
        raise _unreadable(error, source) from error
    if image.format in _PROGRAMS:
        raise ImageReadError(f"{image.format} is a program that draws, not an image. Save it as PNG or JPEG.")
    if image.width * image.height > MAX_PIXELS:
        raise ImageReadError(_too_large(f"{image.width:,} x {image.height:,} pixels"))
    return image


def decode(source: Path | bytes | Image.Image, at_least: int | None = None) -> Image.Image:
    """An upright 8-bit RGB image from any file Pillow opens.

    Rules: EXIF orientation is applied; transparency is laid over white; 16-bit values are divided by 257;
    CMYK, grey and palette images become RGB; of an animation the first frame counts.

    Args:
        at_least: let the JPEG decoder work at reduced scale as long as both sides stay this long, pixels.

    Raises:
        ImageReadError: the bytes are not a whole image.
    """
    image = source if isinstance(source, Image.Image) else open_image(source)
    try:
        if at_least is not None and image.format != "HEIF":  # its thumbnail is another picture of the same thing
            image.draft(None, (at_least, at_least))
        image.load()
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1  # else `exif_transpose` would copy the image
        return _to_rgb(ImageOps.exif_transpose(image) if turned else image)
    except Exception as error:
        raise _unreadable(error, source) from error


def read_pixels(source: Path | bytes | Image.Image, spec: PreprocessSpec) -> np.ndarray:
    """Decode and resize one image, which may come opened: uint8, shape (size, size, 3), RGB, 0..255.

    Raises:
        ImageReadError: the bytes are not a whole image.
    """
    # Twice the target is left for the antialiasing filter, so that reduced decoding is not seen in the result.
    image = decode(source, at_least=2 * spec.size)
    return np.asarray(fit(image, spec))


def fit(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Bring an RGB image to (size, size) by the spec's resize policy."""
    width, height = image.size
    target, resample = spec.size, _FILTERS[spec.interpolation]
    if spec.resize == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        box = (left, top, left + side, top + side)
        return image.resize((target, target), resample, box=box, reducing_gap=3.0)
    if spec.resize == "squash":
        return image.resize((target, target), resample, reducing_gap=3.0)
    scale = target / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (target, target), spec.padding)
    canvas.paste(image.resize(inner, resample, reducing_gap=3.0), ((target - inner[0]) // 2, (target - inner[1]) // 2))
    return canvas


def normalise(pixels_NHWC: np.ndarray, spec: PreprocessSpec) -> np.ndarray:
    """What the network is given: float32, shape (N, 3, H, W), ((value / 255) - mean) / std."""
    # Plane by plane and in place, the very same numbers come out in a ninth of the time.
    planes = pixels_NHWC.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    planes /= np.float32(255)
    planes -= np.asarray(spec.mean, np.float32).reshape(3, 1, 1)
    planes /= np.asarray(spec.std, np.float32).reshape(3, 1, 1)
    return planes


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_to_rgb(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(canvas, layer).convert("RGB")
    return image.convert("RGB")


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """More than 8 bits a sample: 16-bit range becomes 0..255; floats are taken as 0..1 unless they exceed 1."""
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        values = values * 255 if np.nanmax(values, initial=0) <= 1 else values
    elif image.mode != "I" or values.max(initial=0) > 255:
        values = values / 257
    grey = np.nan_to_num(values).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(grey, "L").convert("RGB")


def _unreadable(error: Exception, source: object) -> ImageReadError:
    if isinstance(error, ImageReadError):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return ImageReadError(_too_large(f"more than {2 * MAX_PIXELS:,} pixels"))
    if isinstance(error, Image.UnidentifiedImageError):
        empty = source == b"" or (isinstance(source, Path) and source.is_file() and source.stat().st_size == 0)
        return ImageReadError("The file is empty." if empty else "Not an image, or of a kind that cannot be opened.")
    if isinstance(error, PermissionError):
        return ImageReadError("No permission to read the file.")
    if isinstance(error, FileNotFoundError):
        return ImageReadError("The file is no longer there.")
    words = str(error).strip() or type(error).__name__
    if "truncated" in words.lower():
        return ImageReadError("The file is cut short: the image ends before its last pixel.")
    return ImageReadError(f"The image is damaged: {words.rstrip('.')}.")


def _too_large(what: str) -> str:
    return f"Too large to open safely: {what}, where {MAX_PIXELS:,} are allowed."
