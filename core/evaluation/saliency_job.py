"""Program: make maps of where a run's model looks, and check them. `python -m core.evaluation.saliency_job RUN_FOLDER`

Which layers explain best is found on a few validation images; the maps and the verdict are of test images. Hiding and
showing is asked of the model as it is shipped (its ONNX graph), the maps are made from its weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.errors import ImageReadError, InputError
from core.evaluation import saliency
from core.evaluation.explained import (
    MIXED,
    SALIENCY,
    SIZES,
    Explained,
    Explanation,
    images_to_explain,
    picture,
    publish_pictures,
)
from core.evaluation.predictions import read_predictions
from core.evaluation.robustness import open_model
from core.evaluation.saliency import Layer
from core.evaluation.saliency_checks import MOVED, Scores, common_fault, likeness, mean_gain, score
from core.evaluation.side_jobs import meter
from core.inference.classifier import Classifier
from core.inference.export import load_network
from core.jobs import StatusWriter
from core.preprocess import normalise, read_pixels
from core.runs.store import Run
from core.training.memory import limit_to_free_memory
from core.wording import count

CHOOSING = 6  # validation images by which the best layers are chosen
MOVED_TO_CHOOSE = 2  # times a map is moved elsewhere while choosing
SHUFFLINGS = 3  # networks that have forgotten; one where each map of theirs takes hundreds of passes
BATCH = 8  # images whose layers are held in memory at once
_MADE = "pictures"


@dataclass(frozen=True)
class Subject:
    """Images to explain, with the network's answers.

    Attributes:
        rows: path, label, predicted, confidence.
        pixels_NHWC: uint8, as the network is given them before normalising.
        explained: index of the class whose map is made, one an image.
    """

    rows: pd.DataFrame
    pixels_NHWC: np.ndarray
    explained: np.ndarray


def explain(
    classifier: Classifier,
    network: torch.nn.Module,
    choosing: Subject,
    wanted: Subject,
    on_progress: Callable[[int, int], None],
    seed: int = 0,
) -> tuple[str, dict[str, float], list[tuple[np.ndarray, Scores]]]:
    """The layers chosen in words, what each choice gained, and each wanted image's map with its scores.

    Args:
        network: the weights of the classifier, in evaluation mode.
        on_progress: called with images done and images in all; may raise to end it.
    """
    layers = saliency.spatial_layers(network, _inputs(classifier, choosing.pixels_NHWC[:2]))
    ways = saliency.ways_of(layers)
    total = len(choosing.rows) + len(wanted.rows)
    gains = np.zeros(len(ways))
    found = _maps(classifier, network, choosing, layers)
    for place in range(len(choosing.rows)):
        for number, way in enumerate(ways):
            gains[number] += _score(
                classifier, choosing, place, saliency.of_way(found, layers, way)[place], seed, MOVED_TO_CHOOSE
            ).gain
        on_progress(place + 1, total)
    best = ways[int(gains.argmax())]
    seen, shufflings = _inputs(classifier, choosing.pixels_NHWC), 1 if best == [saliency.BY_WINDOWS] else SHUFFLINGS
    forgotten = [saliency.randomised(network, seen, seed + number) for number in range(shufflings)]
    mine = saliency.of_way(_maps(classifier, network, wanted, best), best, best)
    theirs = [saliency.of_way(_maps(classifier, other, wanted, best), best, best) for other in forgotten]
    results = []
    for place in range(len(wanted.rows)):
        scores = _score(classifier, wanted, place, mine[place], seed)
        alike = float(np.mean([likeness(mine[place], other[place]) for other in theirs]))
        results.append((mine[place], replace(scores, likeness=alike)))
        on_progress(len(choosing.rows) + place + 1, total)
    tried = {saliency.in_words(way): float(gain) / len(choosing.rows) for way, gain in zip(ways, gains, strict=True)}
    return saliency.in_words(best), tried, results


def subject(classifier: Classifier, root: Path, rows: pd.DataFrame) -> Subject:
    """Read the images; those that cannot be read any more are left out.

    Raises:
        InputError: none can.
    """
    pixels, places = [], []
    for place, path in enumerate(rows["path"]):
        try:
            pixels.append(read_pixels(root / path, classifier.spec))
            places.append(place)
        except ImageReadError as error:
            print(f"{path} is left out: {error}", flush=True)
    if not pixels:
        raise InputError("None of the images can be read any more.", "Put the dataset's folder back.")
    kept = rows.iloc[places].reset_index(drop=True)
    return Subject(kept, np.stack(pixels), pd.Index(classifier.classes).get_indexer(kept["predicted"]))


def main(run_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        rows = images_to_explain(run, request.get("which", MIXED), int(request.get("images", SIZES[0])))
        classifier, root = open_model(run)
        network = load_network(classifier.bundle)
        status.update(phase="explaining", message="Making maps, and hiding and showing what they mark.")
        choosing, wanted = subject(classifier, root, _to_choose_by(run)), subject(classifier, root, rows)
        way, tried, results = explain(classifier, network, choosing, wanted, meter(status))
        explanation = _explanation(run, way, tried, wanted, results)
        made = SALIENCY.folder(run) / _MADE
        made.mkdir()
        for one, (found, _), pixels in zip(explanation.images, results, wanted.pixels_NHWC, strict=True):
            believed = not (explanation.fault or one.fault)
            picture(pixels, found, believed).save(made / one.picture, "JPEG", quality=88)
        publish_pictures(made, run)
        passed = f"{count(explanation.passed())} of {count(len(results), 'map')} passed the checks."
        return explanation.fault or passed, explanation.to_dict()

    return SALIENCY.carry_out(run, work)


def _explanation(
    run: Run, way: str, tried: dict[str, float], wanted: Subject, results: Sequence[tuple[np.ndarray, Scores]]
) -> Explanation:
    report, scores = run.report() or {}, [one for _, one in results]
    interval = report.get("test_accuracy_interval")
    fault = common_fault(scores, interval[0] if interval else None, report.get("majority_baseline"))
    mean, low = mean_gain(scores)
    images = [
        Explained(row.path, row.label, row.predicted, float(row.confidence), f"{place:03d}.jpg", one.fault(), one)
        for place, (row, one) in enumerate(zip(wanted.rows.itertuples(), scores, strict=True))
    ]
    alike = float(np.mean([one.likeness for one in scores]))
    return Explanation(fault, way, tried, mean, low if np.isfinite(low) else mean, alike, images)


def _to_choose_by(run: Run) -> pd.DataFrame:
    answers = read_predictions(run.folder)
    assert answers is not None  # `images_to_explain` has read it
    rows = answers[answers["split"] == "val"]
    rows = rows if len(rows) >= 2 else answers
    return rows.iloc[np.linspace(0, len(rows) - 1, min(CHOOSING, len(rows))).round().astype(int)]


def _inputs(classifier: Classifier, pixels_NHWC: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(normalise(pixels_NHWC, classifier.spec))


def _maps(classifier: Classifier, network: torch.nn.Module, of: Subject, layers: Sequence[Layer]) -> list[np.ndarray]:
    """For each layer the maps of all images."""
    parts = []
    for start in range(0, len(of.rows), BATCH):
        chosen = slice(start, start + BATCH)
        images = _inputs(classifier, of.pixels_NHWC[chosen])
        parts.append(saliency.maps(network, images, of.explained[chosen].tolist(), layers))
    return [np.concatenate(of_layer) for of_layer in zip(*parts, strict=True)]


def _score(classifier: Classifier, of: Subject, place: int, found: np.ndarray, seed: int, moved: int = MOVED) -> Scores:
    generator = np.random.default_rng([seed, place])
    return score(classifier.probabilities, of.pixels_NHWC[place], int(of.explained[place]), found, generator, moved)


if __name__ == "__main__":
    limit_to_free_memory()
    sys.exit(main(Path(sys.argv[1])))
