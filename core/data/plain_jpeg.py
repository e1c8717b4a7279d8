"""Reads plain JPEG files in two thirds of Pillow's time, to the very same pixels, and leaves all others to Pillow.

Both use libjpeg-turbo. Plain is a file of one scan, of 8 bits, grey or in three colours, upright, without parts that
Pillow reads more into than OpenCV does. OpenCV takes more damaged files for whole than Pillow does: those where a wrong
bit makes a false marker among the data. Such files do not count as plain either.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

import cv2
import numpy as np

_START = b"\xff\xd8\xff"
_FRAMES, _SCAN, _END = (0xC0, 0xC1), 0xDA, 0xD9  # frames: Huffman coding, sequential
_TABLES = (0xC4, 0xDB, 0xDD, 0xFE)  # Huffman and quantization tables, restarts; comments
_JFIF, _ABOUT, _PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_SHORTEST = {_JFIF: 16, _PROFILE: 16, _ADOBE: 14}  # bytes; Pillow refuses the file where what it expects is cut off
_ORIENTATION = 0x0112  # EXIF; 1 is upright
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # but for zeros that escape data, and restarts
_MAX_PIXELS = 100_000_000  # larger images are left to Pillow, which may refuse them
_MODES = {1: "L", 3: "RGB"}
_FLAGS = {  # by how many times smaller
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


class PlainJpeg(NamedTuple):
    """A file that was read.

    Attributes:
        pixels_HWC: what `core.preprocess.decode` gives, RGB 0..255.
        width, height: of the whole image, pixels.
        mode: as Pillow calls it.
    """

    pixels_HWC: np.ndarray
    width: int
    height: int
    mode: str


def read_plain(data: bytes, at_least: int) -> PlainJpeg | None:
    """Decode a file; None where Pillow has to, or has to say what is wrong with it.

    Args:
        at_least: as for `core.preprocess.decode`.
    """
    header = _header(data)
    if header is None:
        return None
    width, height, mode = header
    if width * height > _MAX_PIXELS:
        return None
    smaller = min(width, height) // at_least
    scale = next((scale for scale in (8, 4, 2) if smaller >= scale), 1)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # such as too little memory
        return None
    return None if pixels is None else PlainJpeg(pixels, width, height, mode)


def _header(data: bytes) -> tuple[int, int, str] | None:
    """Width, height and mode of a plain file (ITU-T T.81, annex B)."""
    if not data.startswith(_START):
        return None
    size, at = None, 2
    while at + 10 <= len(data) and data[at] == 0xFF:  # as much as is looked at of any segment
        kind, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        after = at + 2 + length
        if kind in _FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, at + 4)
            if size or bits != 8 or channels not in _MODES:
                return None
            size = width, height, _MODES[channels]
        elif kind == _SCAN:
            next_marker = _MARKER.search(data, after)
            whole = next_marker is not None and next_marker[0][1] == _END
            return size if whole else None
        elif kind not in _TABLES and not _is_harmless(kind, length, data, at + 4):
            return None
        at = after
    return None


def _is_harmless(kind: int, length: int, data: bytes, at: int) -> bool:
    """Whether a segment says nothing that Pillow would heed."""
    if kind == _ABOUT:
        about = data[at : at + length - 2]
        return _is_upright(about) if about.startswith(b"Exif\0\0") else b"Orientation" not in about  # XMP
    return kind in _SHORTEST and length >= _SHORTEST[kind] and not data.startswith(b"MPF\0", at)


def _is_upright(exif: bytes) -> bool:
    """Whether an image with this EXIF segment is shown as it is stored; false where that cannot be told."""
    from core.preprocess import Image  # Pillow as it is set up there; photos without EXIF can do without

    about = Image.Exif()
    try:
        about.load(exif)
        return about.get(_ORIENTATION, 1) == 1
    except Exception:  # damaged ones raise nearly anything
        return False
