"""What an export format is: what it writes, what runs it, and how close to the trained model it has to stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.data.manifest import usable
from core.errors import ImageReadError
from core.inference.bundle import Bundle
from core.jobs import StatusWriter
from core.preprocess import read_pixels
from core.runs.store import Run

if TYPE_CHECKING:  # pages ask which formats there are, and come without torch
    from core.training.models import Network

BATCH = 32


@dataclass(frozen=True)
class Source:
    """The trained model that is exported, and its images.

    Attributes:
        bundle: its model, see `core.inference.bundle`.
        root: the folder that the manifest's paths start from.
    """

    run: Run
    bundle: Bundle
    root: Path

    def network(self) -> Network:
        """The trained network itself: float32, on the CPU, in evaluation mode; imports torch."""
        from core.inference.export import load_network

        return load_network(self.bundle)

    def onnx(self, beside: Path) -> Path:
        """The network as a float32 ONNX graph with input `images` and output `logits`, batch size free.

        The bundle's, or where that was withheld one that is written into the folder `beside`; never to be changed.
        """
        if self.bundle.onnx is not None:
            return self.bundle.onnx
        from core.training.backbone.onnx_graph import export_onnx

        size, path = self.bundle.spec.size, beside / "float32.onnx"
        export_onnx(self.network(), (3, size, size), path, "images", "logits")
        return path

    def rows(self, split: str) -> pd.DataFrame:
        """The readable images of a split (train, val or test): path and label, numbered from 0."""
        manifest = usable(self.run.manifest())
        return manifest.loc[manifest["split"] == split, ["path", "label"]].astype(str).reset_index(drop=True)

    def pixels(self, split: str, most: int, seed: int = 0) -> Iterator[tuple[np.ndarray, list[str]]]:
        """At most so many images of a split, drawn by the seed: batches of uint8 (N, size, size, 3) and their labels.

        Those that cannot be read any more are left out.
        """
        rows = self.rows(split)
        chosen = rows.sample(min(most, len(rows)), random_state=seed)
        for start in range(0, len(chosen), BATCH):
            pixels, labels = [], []
            for row in chosen.iloc[start : start + BATCH].itertuples():
                try:
                    pixels.append(read_pixels(self.root / str(row.path), self.bundle.spec))
                    labels.append(str(row.label))
                except ImageReadError:
                    continue
            if pixels:
                yield np.stack(pixels), labels


@dataclass(frozen=True)
class Tolerance:
    """How far an export may be from the trained model on the test images and still be called ready.

    Attributes:
        agreement: the least share of images that get the same class, 0..1.
        probability_gap: the largest difference of any class's probability on any image, 0..1.
        accuracy_drop: of the share of images classified rightly, 0..1.
    """

    agreement: float = 1.0
    probability_gap: float = 1e-3
    accuracy_drop: float = 0.0


@dataclass(frozen=True)
class Choice:
    """Something to choose before an export; the first of the values is the default."""

    name: str
    title: str
    values: tuple[str | int | float, ...]
    help: str


# Writes the model into the folder, which holds nothing yet; gives what is worth telling, plain values. Sentences for
# the reader go under "notes", a list of text. It may raise `DarkroomError`; `meter(status)` of
# `core.evaluation.side_jobs` raises where it was cancelled.
Export = Callable[[Source, Path, Mapping[str, Any], StatusWriter], dict[str, Any]]


def _always() -> str | None:
    return None


@dataclass(frozen=True)
class Format:
    """One way to take a model out of Darkroom.

    Attributes:
        key: its name in addresses, paths and `--format`: lower-case letters, digits and dashes.
        name: its name for people.
        what: a sentence for whom it is.
        model: the file, or folder, that `export` writes and `open_model` is given.
        runtime: the module in `core.exports.shipped` that runs the model; its source becomes part of predict.py.
        packages: what has to be installed for that, besides numpy and pillow: pip's names, in the versions here.
        export: see `Export`; imports what is slow only when called.
        tolerance: see `Tolerance`.
        available: why it cannot be made on this machine, in a sentence; None where it can. Quick, and without imports
            of what is slow.
        choices: what the user may set; given to `export` as its options.
    """

    key: str
    name: str
    what: str
    model: str
    runtime: str
    packages: tuple[str, ...]
    export: Export
    tolerance: Tolerance = field(default_factory=Tolerance)
    available: Callable[[], str | None] = _always
    choices: tuple[Choice, ...] = ()
