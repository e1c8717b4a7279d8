"""What PyTorch says of the images an export is compared on: worked out once for all formats."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation.side_jobs import meter, model_stamp
from core.exports.format import BATCH, Source
from core.files import write_bytes
from core.inference.classifier import softmax
from core.inference.speed import Speed, measure_both
from core.jobs import StatusWriter
from core.preprocess import normalise, read_pixels

KEPT = "reference.npz"  # in the run's folder of exports; safe to delete
SPLIT = "test"


@dataclass(frozen=True)
class Reference:
    """The trained model's own answers.

    Attributes:
        rows: path and label of every image of the split, numbered from 0.
        logits: float32 (N, C) in the order of the model's classes; NaN for an image that cannot be read.
        temperature: what they are divided by for probabilities.
    """

    rows: pd.DataFrame
    logits: np.ndarray
    temperature: float

    def probabilities(self) -> np.ndarray:
        """Calibrated, float32 (N, C)."""
        return softmax(self.logits.astype(np.float64) / self.temperature).astype(np.float32)


def pytorch_reference(source: Source, folder: Path, status: StatusWriter) -> Reference:
    """PyTorch's logits of the whole test split, from `folder` where they are of this model and these images.

    Raises:
        InputError: the run has no test images, or none can be read.
        DarkroomError: the dataset's folder is gone.
    """
    rows = source.rows(SPLIT)
    if rows.empty:
        raise InputError(
            f"Run {source.run.id} has no test images, so an export of it cannot be compared with it.",
            "Train with split.test_fraction above 0.",
        )
    if not source.root.is_dir():
        raise DarkroomError(f"The dataset's folder {source.root} is no longer there.", "Put it back and export again.")
    stamp = _stamp(source, rows)
    logits = _kept(folder / KEPT, stamp)
    if logits is None:
        logits = _answered(source, rows, status)
        stream = io.BytesIO()
        np.savez(stream, logits=logits, stamp=np.array(stamp))
        write_bytes(folder / KEPT, stream.getvalue())
    if np.isnan(logits).all():
        raise InputError("None of the test images can be read any more.", "Put the dataset's folder back.")
    return Reference(rows, logits, source.bundle.temperature)


def pytorch_speed(source: Source, seconds: float) -> tuple[Speed, Speed]:
    """The network's speed in PyTorch, one image and a batch; as `predict.py` measures its own."""
    from core.inference.export import torch_forward

    pixels = next((pixels for pixels, _ in source.pixels(SPLIT, BATCH)), None)
    assert pixels is not None  # there is a reference
    return measure_both(torch_forward(source.bundle), normalise(pixels, source.bundle.spec), 0, seconds)


def _answered(source: Source, rows: pd.DataFrame, status: StatusWriter) -> np.ndarray:
    from core.inference.export import torch_forward

    status.update(phase="reference", message="Classifying the test images with PyTorch.")
    forward, note = torch_forward(source.bundle), meter(status)
    logits = np.full((len(rows), len(source.bundle.classes)), np.nan, np.float32)
    for start in range(0, len(rows), BATCH):
        pixels, places = [], []
        for place in range(start, min(start + BATCH, len(rows))):
            try:
                pixels.append(read_pixels(source.root / rows["path"].iloc[place], source.bundle.spec))
                places.append(place)
            except ImageReadError:
                continue
        if places:
            logits[places] = forward(normalise(np.stack(pixels), source.bundle.spec))
        note(min(start + BATCH, len(rows)), len(rows))
    return logits


def _stamp(source: Source, rows: pd.DataFrame) -> str:
    paths = hashlib.blake2b("\n".join(rows["path"]).encode(), digest_size=12).hexdigest()
    parts: list[Any] = [model_stamp(source.run), source.bundle.spec.hash, str(source.root), paths, version("torch")]
    return json.dumps(parts)


def _kept(path: Path, stamp: str) -> np.ndarray | None:
    try:
        with np.load(path) as kept:
            return kept["logits"] if str(kept["stamp"]) == stamp else None
    except (OSError, ValueError, KeyError, EOFError):  # not there yet, or damaged: then it is worked out again
        return None
