"""Reads one image file completely and says all there is to know of it; also the program of reading processes.

As a program (`python -m core.data.probe ROOT THUMBNAILS`) it answers each line on standard input, a JSON list of paths,
with one line, a JSON list of facts in the same order, until its input ends. Without pandas and torch, so that it starts
fast.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from core.data.kept import Keeper
from core.data.plain_jpeg import read_plain
from core.data.quality import Measures, Sketch, measure, sketch
from core.data.shrink import PIXEL_ART, THUMB, jpeg, thumbnail_of
from core.errors import ImageReadError

MAX_BYTES = 2**30  # more than the largest image allowed takes uncompressed; such a file is read into memory whole
_NOT_GIVEN_BACK = 2**24  # bytes
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # EXIF: orientations that swap width and height


class Facts(NamedTuple):
    """What the manifest holds of one file; see `core.data.manifest.COLUMNS`."""

    width: int = 0
    height: int = 0
    mode: str | None = None
    format: str | None = None
    num_bytes: int = 0
    mtime_ns: int = 0
    content_hash: str | None = None
    error: str | None = None
    measures: Measures = Measures()

    def row(self) -> tuple[Any, ...]:
        """All values in order of `FIELDS`."""
        return self[:-1] + self.measures


FIELDS = (*Facts._fields[:-1], *Measures._fields)  # columns of the manifest


def content_hash(data: bytes) -> str:
    """16 hexadecimal digits of BLAKE2b over a file's bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def probe(path: str, thumbnails: Keeper | None = None) -> Facts:
    """`probe_all` of one file."""
    return probe_all([path], thumbnails)[0]


def probe_all(paths: Sequence[str], thumbnails: Keeper | None = None) -> list[Facts]:
    """Read and decode some files; one that cannot be read gives facts with `error` set, never an exception.

    Width and height are those of the upright image; mode and format those of the file.

    Args:
        thumbnails: keeps the images' thumbnails; None where they are to be made when first asked for.
    """
    looked = [_look(path, thumbnails) for path in paths]
    measured = iter(measure([drawn for _, drawn in looked if drawn]))
    return [facts._replace(measures=next(measured)) if drawn else facts for facts, drawn in looked]


def _look(path: str, thumbnails: Keeper | None) -> tuple[Facts, Sketch | None]:
    """All facts but the measures, and what those are made of."""
    facts = Facts()
    try:
        with open(path, "rb", buffering=0) as stream:
            about = os.fstat(stream.fileno())
            facts = Facts(num_bytes=about.st_size, mtime_ns=about.st_mtime_ns)
            if about.st_size > MAX_BYTES:
                return facts._replace(error=f"Too large to open safely: {about.st_size / 1e9:.1f} GB."), None
            data = stream.read()
    except OSError as error:
        return facts._replace(error=_in_words(error)), None
    facts = facts._replace(content_hash=content_hash(data))
    try:
        facts, upright = _decoded(facts, data)
        small = thumbnail_of(upright)
        drawn = sketch(upright, small)
    except ImageReadError as error:
        if isinstance(error.__cause__, MemoryError):
            return facts._replace(error="There is not enough memory to decode it."), None
        return facts._replace(error=error.message), None
    except MemoryError:
        return facts._replace(error="There is not enough memory to decode it."), None
    assert facts.content_hash
    if thumbnails and max(facts.width, facts.height) > PIXEL_ART:
        thumbnails.add(facts.content_hash, jpeg(small))
    return facts, drawn


def _decoded(facts: Facts, data: bytes) -> tuple[Facts, np.ndarray]:
    """What the file says of the image, and its pixels (H, W, 3), perhaps at reduced scale.

    The same decoding as training's, so what passes here passes there. JPEG at a reduced scale still goes through every
    byte of the file, so a truncated one is found.
    """
    if plain := read_plain(data, THUMB):
        facts = facts._replace(width=plain.width, height=plain.height, mode=plain.mode, format="JPEG")
        return facts, plain.pixels_HWC
    from core.preprocess import decode, open_image  # Pillow, which a folder of plain photos can do without

    image = open_image(data)
    (width, height), mode = image.size, image.mode
    upright = np.asarray(decode(image, at_least=THUMB))
    if image.getexif().get(_ORIENTATION) in _LYING:
        width, height = height, width
    return facts._replace(width=width, height=height, mode=mode, format=image.format), upright


def serve(root: str, thumbnails: str) -> None:
    """Answer lists of paths until standard input ends, which it also does when the parent is killed.

    Args:
        thumbnails: the folder to keep them in, or empty.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _hush_libraries()
    cv2.setNumThreads(1)  # each process is one of many
    np.empty(_NOT_GIVEN_BACK, np.uint8)  # glibc keeps as much as was once freed, else memory is fetched for each image
    keeper = Keeper(thumbnails, THUMB) if thumbnails else None
    questions, answering = open(0, encoding="utf-8", closefd=False), open(1, "w", encoding="utf-8", closefd=False)
    for line in questions:
        answers = probe_all([os.path.join(root, path) for path in json.loads(line)], keeper)
        if keeper:
            keeper.flush()
        answering.write(json.dumps(answers, separators=(",", ":")) + "\n")
        answering.flush()


def _hush_libraries() -> None:
    """What libjpeg writes to standard error of damaged photos names no file; Python's own words still go there."""
    sys.stderr = open(os.dup(2), "w", encoding="utf-8", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _in_words(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "No permission to read the file."
    if isinstance(error, FileNotFoundError):
        return "The file is no longer there."
    return f"The file could not be read: {error.strerror}."


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
