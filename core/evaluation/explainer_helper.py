"""Program: make the map of one image after the other, as they are asked for; see `core.evaluation.explainer`.

The layers are those that explained best on validation images, where the run's maps were made on Evaluate; else the last
one that knows places. Each map is checked by hiding and showing, as those are.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation import saliency
from core.evaluation.explained import SALIENCY, picture
from core.evaluation.explainer import ExplainedImage, read_frame, write_frame
from core.evaluation.saliency import Layer
from core.evaluation.saliency_checks import common_fault, score
from core.evaluation.side_jobs import model_stamp
from core.inference.bundle import read_bundle
from core.inference.classifier import Classifier, open_classifier
from core.inference.export import load_network
from core.preprocess import normalise, read_pixels
from core.runs.store import Run
from core.training.memory import limit_to_free_memory

MOST_LOADED = 2  # models kept in memory
_QUALITY = 88


class Explainer:
    """A run's model, ready to make maps."""

    def __init__(self, run: Run) -> None:
        """Raises `DarkroomError` where there is no model."""
        bundle = read_bundle(run.bundle)
        self.stamp = model_stamp(run)
        self._run = run
        self._classifier: Classifier = open_classifier(run.bundle, "onnx" if bundle.onnx else "torch")
        self._network = load_network(bundle)
        noise = np.random.default_rng(0).integers(0, 256, (2, bundle.spec.size, bundle.spec.size, 3), np.uint8)
        self._way = self._best(saliency.spatial_layers(self._network, self._inputs(noise)))

    def explain(self, data: bytes, label: str | None) -> ExplainedImage:
        """Raises as `core.evaluation.explainer.explain_image`."""
        classes = self._classifier.classes
        if label is not None and label not in classes:
            raise InputError(f"The model knows no class {label!r}.", "See the list of its classes.")
        pixels = read_pixels(data, self._classifier.spec)
        shares = self._classifier.probabilities(pixels[None])[0]
        explained = int(shares.argmax()) if label is None else classes.index(label)
        found = saliency.maps(self._network, self._inputs(pixels[None]), [explained], self._way)
        marked = saliency.of_way(found, self._way, self._way)[0]
        scores = score(self._classifier.probabilities, pixels, explained, marked, np.random.default_rng(0))
        report, kept = self._run.report() or {}, SALIENCY.answer(self._run) or {}
        low = (report.get("test_accuracy_interval") or [None])[0]
        fault = kept.get("fault") or common_fault([scores], low, report.get("majority_baseline")) or scores.fault()
        stream = io.BytesIO()
        picture(pixels, marked, believed=not fault).save(stream, "JPEG", quality=_QUALITY)
        words = saliency.in_words(self._way)
        return ExplainedImage(classes[explained], float(shares[explained]), stream.getvalue(), fault, words, scores)

    def _best(self, layers: list[Layer]) -> list[Layer]:
        wanted = (SALIENCY.answer(self._run) or {}).get("way")
        ways = saliency.ways_of(layers)
        return next((way for way in ways if saliency.in_words(way) == wanted), ways[0])

    def _inputs(self, pixels_NHWC: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(normalise(pixels_NHWC, self._classifier.spec))


def main(idle_s: float) -> None:
    """Answer until nothing was asked for `idle_s` seconds; the end of who asks ends this process at once."""
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asked: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    loaded: dict[str, Explainer] = {}
    while True:
        try:
            question, data = asked.get(timeout=idle_s)
        except queue.Empty:
            return
        try:
            found = _explainer(loaded, question["run"]).explain(data, question["label"])
            write_frame(answers, found.to_dict(), found.picture)
        except DarkroomError as error:
            kind = next(one for one in (ImageReadError, InputError, DarkroomError) if isinstance(error, one))
            write_frame(answers, {"error": kind.__name__, "message": error.message, "fix": error.fix}, b"")


def _listen(questions: IO[bytes], asked: queue.Queue[tuple[dict[str, Any], bytes]]) -> None:
    while (frame := read_frame(questions)) is not None:
        asked.put(frame)
    os._exit(0)  # nobody is there to be answered


def _explainer(loaded: dict[str, Explainer], folder: str) -> Explainer:
    """The run's model from memory where it is still the same, else from disk."""
    run = Run(Path(folder).name, Path(folder))
    known = loaded.pop(folder, None)
    if known is None or known.stamp != model_stamp(run):
        while len(loaded) >= MOST_LOADED:
            del loaded[next(iter(loaded))]
        known = Explainer(run)
    loaded[folder] = known  # the one asked for last comes last
    return known


if __name__ == "__main__":
    limit_to_free_memory()
    main(float(sys.argv[1]))
