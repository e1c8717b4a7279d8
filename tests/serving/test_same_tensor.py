"""What comes by REST gives the network the same numbers, to the last bit, as what the command line reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.preprocess import normalise, read_pixels
from tests.exports.test_same_tensor import odd_images
from tests.serving.conftest import Serve
from tests.serving.served import SPEC


class _Recording:
    """A network that keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        return self.with_features(images_NCHW)[0]

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, None]:
        self.given += list(images_NCHW)
        return np.zeros((len(images_NCHW), 3), np.float32), None


def test_odd_images(serve: Serve, tmp_path: Path) -> None:
    paths = odd_images(tmp_path)
    expected = {normalise(read_pixels(path, SPEC)[None], SPEC).tobytes() for path in paths}
    asking, recording = serve(), _Recording()
    asking.service.models.load(asking.run)._engine = recording
    answer = asking.ask(*((path.name, path.read_bytes()) for path in paths))
    assert answer.status_code == 200 and all(row["error"] is None for row in answer.json()["predictions"])
    assert len(recording.given) == len(paths) == 40
    assert {given.tobytes() for given in recording.given} == expected and len(expected) >= 35
