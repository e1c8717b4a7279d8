"""What the evaluation's figures cost and how true their intervals are: prints one JSON line a figure.

`python benchmarks/evaluation.py coverage` draws 2,000 tables each from models whose truth is known and counts how often
every 95 % interval holds it (about a minute). `python benchmarks/evaluation.py speed` writes predictions of made-up
models, 10 classes with 10,000 test images and 1,000 classes with 50,000, in a temporary workspace and times the report
and every view of the Evaluate page, first drawn and drawn again. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.evaluation.metrics import confusion  # noqa: E402
from core.evaluation.predictions import PROBABILITY_FLOOR  # noqa: E402
from core.evaluation.scores import Figures, measure  # noqa: E402

NUM_TABLES = 2000
TRUTH_IMAGES, TRUTH_PARTS = 1_000_000, 10  # drawn to know the truth by


@dataclass(frozen=True)
class Drawn:
    """Test images of a made-up model."""

    true: np.ndarray
    probabilities: np.ndarray


Model = Callable[[np.random.Generator, int], Drawn]


def flawed_model(num_classes: int, sureness: float = 1.5) -> Model:
    """A model that confuses classes, knows some better than others, and is surer than it should be.

    Args:
        sureness: its logits are those of a calibrated model times this.
    """
    shares = np.linspace(1, 2, num_classes)
    shares /= shares.sum()
    skill = np.linspace(6, 3.5, num_classes)

    def draw(lots: np.random.Generator, num_images: int) -> Drawn:
        meant = lots.choice(num_classes, num_images, p=shares)
        logits = lots.normal(size=(num_images, num_classes)) * 1.5
        logits[np.arange(num_images), meant] += lots.gamma(3, skill[meant] / 3)
        calibrated = _softmax(logits)
        true = (calibrated.cumsum(axis=1) > lots.random((num_images, 1))).argmax(axis=1)
        return Drawn(true, _softmax(logits * sureness))

    return draw


def figures_of(drawn: Drawn) -> Figures:
    """What the report says of these images."""
    classes = [f"class {place}" for place in range(drawn.probabilities.shape[1])]
    answered = drawn.probabilities.argmax(axis=1)
    labels, answers = [classes[place] for place in drawn.true], [classes[place] for place in answered]
    of_true = drawn.probabilities[np.arange(len(drawn.true)), drawn.true]
    loss = -np.log(np.maximum(of_true, PROBABILITY_FLOOR))
    counts = confusion(labels, answers, classes)
    return measure(labels, answers, drawn.probabilities.max(axis=1), loss, drawn.probabilities, counts, classes)


def coverage(
    model: Model, num_images: int, num_tables: int, seed: int = 0, truth_images: int = TRUTH_IMAGES
) -> dict[str, float]:
    """How often the interval of each figure holds the figure of (nearly) endless images, 0..1."""
    lots = np.random.default_rng([seed, 1])
    parts = [figures_of(model(lots, truth_images // TRUTH_PARTS)) for _ in range(TRUTH_PARTS)]
    truth = {name: float(np.mean([part[name]["value"] for part in parts])) for name in parts[0]}
    held = dict.fromkeys(truth, 0)
    for _ in range(num_tables):
        for name, row in figures_of(model(lots, num_images)).items():
            held[name] += row["low"] <= truth[name] <= row["high"]
    return {name: times / num_tables for name, times in held.items()}


def _softmax(logits: np.ndarray) -> np.ndarray:
    spread = np.exp(logits - logits.max(axis=1, keepdims=True))
    return spread / spread.sum(axis=1, keepdims=True)


def measure_coverage(num_tables: int) -> None:
    """Three sizes of models, with at most some hundreds of test images."""
    for num_classes, num_images in ((2, 200), (3, 300), (10, 600), (10, 2000)):
        began = time.perf_counter()
        found = coverage(flawed_model(num_classes), num_images, num_tables)
        seconds = time.perf_counter() - began
        say("coverage of 95 % intervals", classes=num_classes, images=num_images, tables=num_tables, s=seconds, **found)


def say(what: str, **figures: float | str) -> None:
    """One line of JSON."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["coverage", "speed"])
    parser.add_argument("--tables", type=int, default=NUM_TABLES)
    options = parser.parse_args()
    measure_coverage(options.tables)


if __name__ == "__main__":
    main()
