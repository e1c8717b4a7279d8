"""One path from any image to ranked classes, for page, webcam, CLI and evaluation alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from core.errors import DarkroomError, ImageReadError
from core.inference.bundle import Bundle, read_bundle
from core.onnx_runtime import open_session
from core.preprocess import PreprocessSpec, normalise, read_pixels

Engine = Literal["onnx", "torch"]


class Forward(Protocol):
    """The network alone: float32 images (N, 3, H, W) to float32 logits (N, num_classes)."""

    def __call__(self, images_NCHW: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Answer:
    """What the model says of one image.

    Attributes:
        name: the image's path or upload name, as given.
        label: the likeliest class; None where the image could not be read.
        confidence: its probability, 0..1.
        top: every class with its probability, likeliest first.
        error: why there is no answer, else None.
    """

    name: str
    label: str | None
    confidence: float | None
    top: list[tuple[str, float]]
    error: str | None = None


class Classifier:
    """A bundle made ready to classify; safe to share between threads."""

    def __init__(self, bundle: Bundle, forward: Forward) -> None:
        self.bundle = bundle
        self._forward = forward

    @property
    def classes(self) -> list[str]:
        return self.bundle.classes

    @property
    def spec(self) -> PreprocessSpec:
        return self.bundle.spec

    def logits(self, pixels_NHWC: np.ndarray) -> np.ndarray:
        """Scores before softmax, float32 (N, num_classes), for uint8 pixels from `core.preprocess.read_pixels`."""
        return self._forward(normalise(pixels_NHWC, self.spec))

    def probabilities(self, pixels_NHWC: np.ndarray) -> np.ndarray:
        """Softmax of the logits: float64 (N, num_classes), rows sum to 1."""
        return softmax(self.logits(pixels_NHWC))

    def classify(self, items: Sequence[Path | bytes], names: Sequence[str], batch_size: int = 16) -> list[Answer]:
        """Rank the classes for each image; one that cannot be read gets an answer that says so."""
        answers = [Answer(name, None, None, [], "Not read yet.") for name in names]
        for start in range(0, len(items), batch_size):
            readable: list[tuple[int, np.ndarray]] = []
            for index in range(start, min(start + batch_size, len(items))):
                try:
                    readable.append((index, read_pixels(items[index], self.spec)))
                except ImageReadError as error:
                    answers[index] = Answer(names[index], None, None, [], str(error))
            if readable:
                table = self.probabilities(np.stack([pixels for _, pixels in readable]))
                for (index, _), row in zip(readable, table, strict=True):
                    answers[index] = self._ranked(names[index], row)
        return answers

    def _ranked(self, name: str, probabilities: np.ndarray) -> Answer:
        order = np.argsort(-probabilities, kind="stable")
        top = [(self.classes[i], float(probabilities[i])) for i in order]
        return Answer(name, top[0][0], top[0][1], top)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def open_classifier(folder: Path, engine: Engine = "onnx") -> Classifier:
    """Load a bundle. `onnx` needs no torch; `torch` runs the weights themselves.

    Raises:
        DarkroomError: no bundle, or one whose ONNX graph was withheld because it disagreed with the weights.
    """
    bundle = read_bundle(folder)
    if engine == "torch":
        from core.inference.export import torch_forward

        return Classifier(bundle, torch_forward(bundle))
    if bundle.onnx is None:
        parity = bundle.parity or {}
        reason = parity.get("reason", "it has not been compared with the weights yet")
        raise DarkroomError(
            f"This model has no ONNX graph: {reason}.",
            "Classify with the weights themselves: python -m core predict RUN IMAGE --engine torch",
        )
    return Classifier(bundle, onnx_forward(bundle.onnx))


def onnx_forward(path: Path) -> Forward:
    """An ONNX graph with input `images` and output `logits`, run by ONNX Runtime on the CPU."""
    session = open_session(path)
    return lambda images_NCHW: session.run(["logits"], {"images": images_NCHW})[0]
