"""Features of images by content, on disk, in parts that are only ever added to."""

from __future__ import annotations

import uuid
from io import BytesIO
from pathlib import Path

import numpy as np

from core.files import write_bytes


class FeatureStore:
    """A folder of parts, each of two files: the hashes of some images (uint64) and their features.

    Args:
        dtype: of the features; float16 where a map or neighbours are made of them, float32 where a head learns.
    """

    def __init__(self, folder: Path, dtype: type[np.floating] = np.float16) -> None:
        self._folder, self._dtype = folder, dtype
        folder.mkdir(parents=True, exist_ok=True)
        self._parts = sorted(folder.glob("*.hashes.npy"))

    def known(self) -> np.ndarray:
        """Hashes of all stored images, uint64, in the order they were stored."""
        return np.concatenate([np.load(part, allow_pickle=False) for part in self._parts] or [np.empty(0, np.uint64)])

    def add(self, hashes: np.ndarray, features: np.ndarray) -> None:
        """Store one part: features first, so that a part with hashes is whole."""
        name = f"{len(self._parts):06d}-{uuid.uuid4().hex}"  # several processes may add at once
        _write_array(self._folder / f"{name}.features.npy", features.astype(self._dtype))
        path = self._folder / f"{name}.hashes.npy"
        _write_array(path, hashes)
        self._parts.append(path)

    def load(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of those of `hashes` (sorted, all different) that are stored: (which, features of those)."""
        found = np.zeros(len(hashes), bool)
        features: np.ndarray | None = None
        for part in self._parts:
            stored = np.load(part, allow_pickle=False)
            rows = np.load(part.with_name(part.name.replace("hashes", "features")), mmap_mode="r", allow_pickle=False)
            if features is None:
                features = np.empty((len(hashes), rows.shape[1]), self._dtype)
            places = np.minimum(np.searchsorted(hashes, stored), len(hashes) - 1)
            wanted = np.flatnonzero(hashes[places] == stored)
            features[places[wanted]] = rows[wanted]
            found[places[wanted]] = True
        if features is None:
            return found, np.empty((0, 0), self._dtype)
        return found, features[found]


def _write_array(path: Path, values: np.ndarray) -> None:
    stream = BytesIO()
    np.save(stream, values, allow_pickle=False)
    write_bytes(path, stream.getvalue())
