"""Small copies of images for the browser, made when indexing or first asked for, and kept by the content they show."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from core.data.kept import keep, kept
from core.data.manifest import MANIFEST, content_keys
from core.data.probe import content_hash as hash_of
from core.data.shrink import LARGE, PIXEL_ART, THUMB, jpeg, thumbnail_of
from core.data.stored import read_dataset
from core.errors import ImageReadError, InputError
from core.preprocess import decode, open_image
from core.workspace import Workspace

__all__ = ["LARGE", "SIZES", "THUMB", "thumbnail", "url"]

SIZES = (THUMB, LARGE)
_HASH = re.compile(r"[0-9a-f]{16}")
_reading = threading.Lock()


def url(dataset_id: str, content_hash: str, size: int = THUMB) -> str:
    """Where the server offers a thumbnail."""
    return f"/thumb/{size}/{dataset_id}/{content_hash}"


def thumbnail(ws: Workspace, dataset_id: str, content_hash: str, size: int) -> tuple[bytes, str]:
    """An image of a dataset, never enlarged: (bytes, media type).

    Its longer side is at most `LARGE` pixels, or about `THUMB`. Upright RGB with the aspect ratio kept; PNG for images
    of up to 64 pixels, JPEG for others.

    Raises:
        InputError: no such size, dataset, or image in the dataset's manifest.
        ImageReadError: the file is gone, or is no longer the one that was indexed.
    """
    if size not in SIZES:
        raise InputError(f"There are no thumbnails of {size} pixels.", f"Ask for {' or '.join(map(str, SIZES))}.")
    files = _files_of(ws, dataset_id, content_hash)
    problem = ImageReadError("The file is no longer there.", "Index the folder again.")
    for file in files:
        try:
            untouched = file.is_untouched()
            if untouched and (small := kept(ws.thumbnails, content_hash, size)):
                return small, "image/jpeg"
            data = file.path.read_bytes()
        except OSError as error:
            problem = ImageReadError(f"The file cannot be read: {error.strerror}.", "Index the folder again.")
            continue
        if not untouched and hash_of(data) != content_hash:
            problem = ImageReadError("The file was changed after it was indexed.", "Index the folder again.")
            continue
        return _make(ws, data, content_hash, size)
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
        hashes = content_keys(good["content_hash"].tolist())
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


def _make(ws: Workspace, data: bytes, content_hash: str, size: int) -> tuple[bytes, str]:
    image = open_image(data)
    is_pixel_art = max(image.size) <= PIXEL_ART
    upright = decode(image, at_least=size)
    if is_pixel_art:
        stream = BytesIO()
        upright.save(stream, "PNG")
        return stream.getvalue(), "image/png"
    copy = thumbnail_of(np.asarray(upright)) if size == THUMB else np.asarray(_small_copy(upright, size))
    made = jpeg(copy)
    keep(ws.thumbnails, content_hash, size, made)
    return made, "image/jpeg"


def _small_copy(upright: Image.Image, size: int) -> Image.Image:
    """The image with its longer side at most `size` pixels, never enlarged; the aspect ratio is kept."""
    width, height = upright.size
    longest = max(width, height)
    if longest <= size:
        return upright
    target = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    gap = 2.0 if longest > 4 * size else None  # far from the target, whole pixels are averaged first
    return upright.resize(target, Image.Resampling.LANCZOS, reducing_gap=gap)
