"""Small copies of images for the browser, made when first asked for and kept by the content they show."""

from __future__ import annotations

import os
import re
import threading
import uuid
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from core.data.manifest import MANIFEST
from core.data.probe import content_hash as hash_of
from core.data.stored import read_dataset
from core.errors import ImageReadError, InputError
from core.preprocess import decode, open_image
from core.workspace import Workspace

THUMB, LARGE = 160, 1024  # pixels, the longer side
SIZES = (THUMB, LARGE)
_PIXEL_ART = 64  # pixels; up to here an image is sent exactly, as PNG, and is quicker made than looked up
_QUALITY = 85
_HASH = re.compile(r"[0-9a-f]{16}")
_JPEG_START = b"\xff\xd8"
_reading = threading.Lock()


def url(dataset_id: str, content_hash: str, size: int = THUMB) -> str:
    """Where the server offers a thumbnail."""
    return f"/thumb/{size}/{dataset_id}/{content_hash}"


def thumbnail(ws: Workspace, dataset_id: str, content_hash: str, size: int) -> tuple[bytes, str]:
    """An image of a dataset, its longer side at most `size` pixels, never enlarged: (bytes, media type).

    Upright RGB with the aspect ratio kept; PNG for images of up to 64 pixels, JPEG for others.

    Raises:
        InputError: no such size, dataset, or image in the dataset's manifest.
        ImageReadError: the file is gone, or is no longer the one that was indexed.
    """
    if size not in SIZES:
        raise InputError(f"There are no thumbnails of {size} pixels.", f"Ask for {' or '.join(map(str, SIZES))}.")
    files = _files_of(ws, dataset_id, content_hash)
    kept = ws.thumbnails / content_hash[:2] / f"{content_hash}-{size}.jpg"
    problem = ImageReadError("The file is no longer there.", "Index the folder again.")
    for file in files:
        try:
            untouched = file.is_untouched()
            if untouched and (data := _read_kept(kept)):
                return data, "image/jpeg"
            data = file.path.read_bytes()
        except OSError as error:
            problem = ImageReadError(f"The file cannot be read: {error.strerror}.", "Index the folder again.")
            continue
        if not untouched and hash_of(data) != content_hash:
            problem = ImageReadError("The file was changed after it was indexed.", "Index the folder again.")
            continue
        return _make(data, size, kept)
    raise problem


@dataclass(frozen=True)
class _File:
    path: Path
    num_bytes: int
    mtime_ns: int

    def is_untouched(self) -> bool:
        about = os.stat(self.path)
        return about.st_size == self.num_bytes and about.st_mtime_ns == self.mtime_ns


class _Lookup:
    """From a content hash to its files by binary search over flat arrays; no Python object per row."""

    def __init__(self, root: Path, frame: pd.DataFrame) -> None:
        good = frame[frame["error"].isna()]
        hashes = np.array([int(text, 16) for text in good["content_hash"].tolist()], np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._root = root
        self._hashes = hashes[order]
        self._rows = good[["path", "num_bytes", "mtime_ns"]].take(order)

    def find(self, content_hash: str) -> list[_File]:
        wanted = np.uint64(int(content_hash, 16))
        first, last = self._hashes.searchsorted(wanted, "left"), self._hashes.searchsorted(wanted, "right")
        rows = self._rows.iloc[first:last].itertuples(index=False)
        return [_File(self._root / path, num_bytes, mtime_ns) for path, num_bytes, mtime_ns in rows]


def _files_of(ws: Workspace, dataset_id: str, content_hash: str) -> list[_File]:
    folder = ws.dataset(dataset_id)
    try:
        changed = (folder / MANIFEST).stat().st_mtime_ns
    except OSError as error:
        raise InputError(f"There is no dataset {dataset_id!r}.", "List them with: python -m core datasets") from error
    with _reading:  # a gallery asks for fifty at once; the manifest is read for the first of them only
        lookup = _lookup(folder, changed)
    files = lookup.find(content_hash) if _HASH.fullmatch(content_hash) else []
    if not files:
        raise InputError(f"There is no image {content_hash!r} in dataset {dataset_id}.", "Open the gallery again.")
    return files


@lru_cache(maxsize=4)
def _lookup(folder: Path, changed: int) -> _Lookup:
    dataset = read_dataset(folder)
    assert dataset is not None
    columns = ["path", "num_bytes", "mtime_ns", "content_hash", "error"]
    return _Lookup(dataset.root, pd.read_parquet(folder / MANIFEST, columns=columns))


def _make(data: bytes, size: int, kept: Path) -> tuple[bytes, str]:
    image = open_image(data)
    small = max(image.size) <= _PIXEL_ART
    upright = decode(image, at_least=2 * size)
    upright.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
    stream = BytesIO()
    if small:
        upright.save(stream, "PNG")
        return stream.getvalue(), "image/png"
    upright.save(stream, "JPEG", quality=_QUALITY)
    _keep(kept, stream.getvalue())
    return stream.getvalue(), "image/jpeg"


def _read_kept(kept: Path) -> bytes | None:
    try:
        data = kept.read_bytes()
    except OSError:
        return None
    return data if data.startswith(_JPEG_START) else None


def _keep(kept: Path, data: bytes) -> None:
    """Store a finished thumbnail; where the disk is full it is simply made again next time.

    Renamed into place but not flushed to disk, which would cost more than making it anew after a power failure.
    """
    aside = kept.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        kept.parent.mkdir(exist_ok=True)
        aside.write_bytes(data)
        os.replace(aside, kept)
    except OSError:
        aside.unlink(missing_ok=True)
