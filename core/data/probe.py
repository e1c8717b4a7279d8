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
from typing import Any, NamedTuple

from core.data.kept import Keeper
from core.data.quality import Measures, measure
from core.data.shrink import PIXEL_ART, THUMB, jpeg, small_copy
from core.errors import ImageReadError
from core.preprocess import decode, open_image

MAX_BYTES = 2**30  # more than the largest image allowed takes uncompressed; such a file is read into memory whole
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
    """Read and decode one file; a file that cannot be read gives facts with `error` set, never an exception.

    Width and height are those of the upright image; mode and format those of the file.

    Args:
        thumbnails: keeps the image's thumbnail; None where it is to be made when first asked for.
    """
    facts = Facts()
    try:
        with open(path, "rb", buffering=0) as stream:
            about = os.fstat(stream.fileno())
            facts = Facts(num_bytes=about.st_size, mtime_ns=about.st_mtime_ns)
            if about.st_size > MAX_BYTES:
                return facts._replace(error=f"Too large to open safely: {about.st_size / 1e9:.1f} GB.")
            data = stream.read()
    except OSError as error:
        return facts._replace(error=_in_words(error))
    facts = facts._replace(content_hash=content_hash(data))
    try:
        image = open_image(data)
        (width, height), mode = image.size, image.mode
        # The same decoding as training's, so what passes here passes there. JPEG at a reduced scale still goes through
        # every byte of the file, so a truncated one is found.
        upright = decode(image, at_least=THUMB)
        if image.getexif().get(_ORIENTATION) in _LYING:
            width, height = height, width
        small = small_copy(upright, THUMB)
        measures = measure(upright, small)
    except ImageReadError as error:
        if isinstance(error.__cause__, MemoryError):
            return facts._replace(error="There is not enough memory to decode it.")
        return facts._replace(error=error.message)
    except MemoryError:
        return facts._replace(error="There is not enough memory to decode it.")
    assert facts.content_hash
    if thumbnails and max(width, height) > PIXEL_ART:
        thumbnails.add(facts.content_hash, jpeg(small))
    return facts._replace(width=width, height=height, mode=mode, format=image.format, measures=measures)


def serve(root: str, thumbnails: str | None) -> None:
    """Answer lists of paths until standard input ends, which it also does when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    keeper = Keeper(thumbnails, THUMB) if thumbnails else None
    for line in sys.stdin:
        answers = [probe(os.path.join(root, path), keeper) for path in json.loads(line)]
        if keeper:
            keeper.flush()
        print(json.dumps(answers, separators=(",", ":")), flush=True)


def _in_words(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "No permission to read the file."
    if isinstance(error, FileNotFoundError):
        return "The file is no longer there."
    return f"The file could not be read: {error.strerror}."


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2] or None)
