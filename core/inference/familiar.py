"""How much an image is like those the model was trained on, by its logits or by its place among known features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import DarkroomError
from core.files import write_bytes
from core.inference.bundle import FAMILIAR

NEIGHBOUR = 3  # which nearest familiar image counts: the very nearest may be a chance, or a copy of the image
FLAGGED = 0.05  # share of images like its own that a threshold calls strange, which is the price of finding others


def energy(logits: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the summed exponentials of the logits: float32 (N,), lower = more familiar.

    With the temperature 1. Of a network with two classes it is little else than the confidence. Source: W. Liu et al.,
    "Energy-based Out-of-distribution Detection", NeurIPS 2020.

    Args:
        logits: (N, num_classes).
    """
    exact = np.asarray(logits, np.float64)
    largest = exact.max(axis=-1)
    return -(largest + np.log(np.exp(exact - largest[..., None]).sum(axis=-1))).astype(np.float32)


class Familiar:
    """Features of some images the model knows.

    Source: Y. Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors", ICML 2022: the distance, on the
    unit sphere, to the k-th nearest known feature. No shape of the classes is assumed.

    Attributes:
        bank: float32 (B, num_features), rows of length 1.
    """

    def __init__(self, features: np.ndarray) -> None:
        """
        Args:
            features: (B, num_features), B above `NEIGHBOUR`.
        """
        assert len(features) > NEIGHBOUR, len(features)
        self.bank = _unit(features)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """The distance of each to its third nearest in the bank: float32 (N,), 0..2, lower = more familiar."""
        return _kth(_unit(features) @ self.bank.T)

    def own_distances(self) -> np.ndarray:
        """The distances of the bank's images, each from the others, as if it were new: float32 (B,)."""
        alike = self.bank @ self.bank.T
        np.fill_diagonal(alike, -np.inf)
        return _kth(alike)


def write_familiar(folder: Path, familiar: Familiar) -> None:
    """Keep it in the bundle, in half precision: of 1,280 features and 512 images 1.3 MB."""
    from safetensors.numpy import save

    write_bytes(folder / FAMILIAR, save({"features": familiar.bank.astype(np.float16)}))


def read_familiar(folder: Path) -> Familiar | None:
    """What the bundle knows, or None where it has nothing of the kind.

    Raises:
        DarkroomError: the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / FAMILIAR
    try:
        return Familiar(load(path.read_bytes())["features"])
    except FileNotFoundError:
        return None
    except (OSError, KeyError, SafetensorError) as error:
        raise DarkroomError(f"{path} is damaged ({error}).", "Delete it, or evaluate the run again.") from error


def _unit(features: np.ndarray) -> np.ndarray:
    exact = np.asarray(features, np.float32)
    return exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-12)


def _kth(alike: np.ndarray) -> np.ndarray:
    """From cosines (N, B) to the distance of the k-th nearest: |a - b|^2 = 2 - 2 cos for rows of length 1."""
    cosine = np.partition(alike, -NEIGHBOUR, axis=1)[:, -NEIGHBOUR]
    return np.sqrt(np.maximum(0.0, 2 - 2 * cosine)).astype(np.float32)
