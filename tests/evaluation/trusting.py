"""Evaluated runs without a training: a bundle on disk, and answers made from given logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.evaluation.evaluated import Evaluated
from core.evaluation.predictions import FAMILIARITY, prediction_table, probabilities_of
from core.inference.bundle import write_bundle
from core.preprocess import PreprocessSpec
from core.runs.store import Run

SPEC = PreprocessSpec(8, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def answered_run(folder: Path, splits: Sequence[str], targets: np.ndarray, logits: np.ndarray) -> Evaluated:
    """A run whose bundle may be changed, with one image a row of `logits`."""
    classes = [f"class {number}" for number in range(logits.shape[1])]
    write_bundle(folder / "bundle", {"weight": np.zeros(1, np.float32)}, "small_cnn", classes, SPEC, {})
    labels = [classes[target] for target in targets]
    rows = pd.DataFrame({"path": [f"{n}.png" for n in range(len(labels))], "split": splits, "label": labels})
    table = prediction_table(rows, logits, classes)
    plain = table[[name for name in table if not name.startswith("p:") or name in FAMILIARITY]]
    return Evaluated(Run("run", folder), rows, plain, probabilities_of(table), classes, {})
