"""What the parts of an evaluation are made from: a run's answers, read once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.runs.store import Run


@dataclass(frozen=True)
class Evaluated:
    """A run with its answers, given to each `section(evaluated) -> dict` of `core.evaluation.evaluate`.

    Attributes:
        run: its folder holds `predictions.parquet` already.
        manifest: the images it was trained, validated and tested on, with their split.
        predictions: validation and test images; the columns of `core.evaluation.predictions.predict_manifest`
            without those of the classes, numbered from 0.
        probabilities: float64 (N, C), row by row those of `predictions`, before any temperature.
        classes: in the order of the columns of `probabilities`.
        report: what is known so far: the numbers, and the sections before this one.
    """

    run: Run
    manifest: pd.DataFrame
    predictions: pd.DataFrame
    probabilities: np.ndarray
    classes: list[str]
    report: dict[str, Any]

    def split(self, name: str) -> tuple[pd.DataFrame, np.ndarray]:
        """The rows of a split, numbered from 0, and their probabilities."""
        wanted = (self.predictions["split"] == name).to_numpy()
        return self.predictions[wanted].reset_index(drop=True), self.probabilities[wanted]
