"""One path from any image to ranked classes, for page, webcam, CLI and evaluation alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from core.errors import DarkroomError, ImageReadError
from core.inference.bundle import Bundle, read_bundle
from core.inference.familiar import Familiar, energy, read_familiar
from core.onnx_runtime import open_session
from core.preprocess import PreprocessSpec, normalise, read_pixels

EngineName = Literal["onnx", "torch"]
FEATURES = "last_features"  # the second output of a graph; bundles of earlier versions lack it


class Forward(Protocol):
    """The network alone: float32 images (N, 3, H, W) to float32 logits (N, num_classes)."""

    def __call__(self, images_NCHW: np.ndarray, /) -> np.ndarray: ...


class Engine(Forward, Protocol):
    """A network that can also say what its last layer was given: features float32 (N, num_features)."""

    def with_features(self, images_NCHW: np.ndarray, /) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits and features; None for those where the graph does not give them."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one image.

    Attributes:
        name: the image's path or upload name, as given.
        label: the likeliest class; None where the image could not be read.
        confidence: its probability, 0..1, calibrated.
        top: every class with its probability, likeliest first.
        error: why there is no answer, else None.
        sure: the confidence reaches the threshold that was chosen for this model; True where none was.
        familiar: whether the image is like those the model was trained on; None where that is not known.
    """

    name: str
    label: str | None
    confidence: float | None
    top: list[tuple[str, float]]
    error: str | None = None
    sure: bool = True
    familiar: bool | None = None

    @property
    def accepted(self) -> bool:
        """Whether the label may be taken for an answer: read, sure enough, and not of a strange image."""
        return self.label is not None and self.sure and self.familiar is not False


class Classifier:
    """A bundle made ready to classify; safe to share between threads."""

    def __init__(self, bundle: Bundle, engine: Engine, familiar: Familiar | None = None) -> None:
        """
        Args:
            familiar: what the bundle knows of the images it was trained on; see `read_familiar`.
        """
        self.bundle = bundle
        self._engine = engine
        self._familiar = familiar

    @property
    def classes(self) -> list[str]:
        return self.bundle.classes

    @property
    def spec(self) -> PreprocessSpec:
        return self.bundle.spec

    def logits(self, pixels_NHWC: np.ndarray) -> np.ndarray:
        """Scores before softmax, float32 (N, num_classes), for uint8 pixels from `core.preprocess.read_pixels`."""
        return self._engine(normalise(pixels_NHWC, self.spec))

    def logits_and_features(self, pixels_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same with the features they come from, float32 (N, num_features); None where those cannot be had."""
        return self._engine.with_features(normalise(pixels_NHWC, self.spec))

    def probabilities(self, pixels_NHWC: np.ndarray) -> np.ndarray:
        """Calibrated: softmax of the logits divided by the bundle's temperature, float64 (N, num_classes)."""
        return self._calibrated(self.logits(pixels_NHWC))

    def are_familiar(self, logits: np.ndarray, features: np.ndarray | None) -> list[bool | None]:
        """Of each image, whether it is like those of the training; None where the bundle cannot tell.

        By the distance of its features where the bundle knows some, else by its energy.
        """
        distances = self.distances(features)
        if distances is not None and self.bundle.distance_threshold is not None:
            return [bool(far <= self.bundle.distance_threshold) for far in distances]
        if self.bundle.energy_threshold is not None:
            return [bool(high <= self.bundle.energy_threshold) for high in energy(logits)]
        return [None] * len(logits)

    def distances(self, features: np.ndarray | None) -> np.ndarray | None:
        """How far features are from those the bundle knows, float32 (N,); None where either is missing."""
        return None if features is None or self._familiar is None else self._familiar.distances(features)

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
                places = [index for index, _ in readable]
                found = self.answers(np.stack([pixels for _, pixels in readable]), [names[index] for index in places])
                for index, answer in zip(places, found, strict=True):
                    answers[index] = answer
        return answers

    def answers(self, pixels_NHWC: np.ndarray, names: Sequence[str]) -> list[Answer]:
        """The same for images that were read: uint8 pixels from `core.preprocess.read_pixels`, at least one."""
        logits, features = self.logits_and_features(pixels_NHWC)
        known = self.are_familiar(logits, features)
        return [
            self._ranked(name, row, familiar)
            for name, row, familiar in zip(names, self._calibrated(logits), known, strict=True)
        ]

    def _calibrated(self, logits: np.ndarray) -> np.ndarray:
        return softmax(logits.astype(np.float64) / self.bundle.temperature)

    def _ranked(self, name: str, probabilities: np.ndarray, familiar: bool | None) -> Answer:
        order = np.argsort(-probabilities, kind="stable")
        top = [(self.classes[i], float(probabilities[i])) for i in order]
        threshold = self.bundle.abstention_threshold
        sure = threshold is None or top[0][1] >= threshold
        return Answer(name, top[0][0], top[0][1], top, sure=sure, familiar=familiar)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def open_classifier(folder: Path, engine: EngineName = "onnx", threads: int = 0) -> Classifier:
    """Load a bundle. `onnx` needs no torch; `torch` runs the weights themselves.

    Args:
        threads: of ONNX Runtime that work on one call; 0 for as many as there are cores for this process.

    Raises:
        DarkroomError: no bundle, or one whose ONNX graph was withheld because it disagreed with the weights.
    """
    bundle = read_bundle(folder)
    if engine == "torch":
        from core.inference.export import torch_forward

        return Classifier(bundle, torch_forward(bundle), read_familiar(folder))
    if bundle.onnx is None:
        parity = bundle.parity or {}
        reason = parity.get("reason", "it has not been compared with the weights yet")
        raise DarkroomError(
            f"This model has no ONNX graph: {reason}.",
            "Classify with the weights themselves: python -m core predict RUN IMAGE --engine torch",
        )
    return Classifier(bundle, onnx_forward(bundle.onnx, threads), read_familiar(folder))


def onnx_forward(path: Path, threads: int = 0) -> Engine:
    """An ONNX graph with input `images` and outputs `logits` and `last_features`, run by ONNX Runtime on the CPU."""
    return _Graph(path, threads)


class _Graph:
    def __init__(self, path: Path, threads: int) -> None:
        self._session = open_session(path, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
        return self._session.run(["logits"], {"images": images_NCHW})[0]

    def with_features(self, images_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if FEATURES not in self._outputs:
            return self(images_NCHW), None
        logits, features = self._session.run(["logits", FEATURES], {"images": images_NCHW})
        return logits, features
