"""The program around an exported model: images in, ranked classes out; and a replay that writes every probability."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ImageReadError
from core.exports.shipped.onnx_model import open_model  # or another of them: which, decides the format
from core.inference.classifier import softmax
from core.inference.familiar import energy
from core.inference.speed import BATCH, measure_both
from core.preprocess import PreprocessSpec, normalise, read_pixels

READERS = 2  # threads that decode images
ALONE = 8  # images that are answered alone as well, to see whether the batch they are in matters


class Model:
    """The exported model with its labels and the way an image becomes its input."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """
        Args:
            folder: holds labels.json, spec.json and the model.
            threads: that work on one call; 0 leaves it to the runtime.
        """
        self.labels: list[str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        self._about: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        self._spec = PreprocessSpec.from_dict(self._about["preprocess"])
        self._open = lambda: open_model(folder / self._about["model"], threads)

    @cached_property
    def _forward(self) -> Callable[[np.ndarray], np.ndarray]:
        return self._open()

    def tensor(self, image: Path | bytes) -> np.ndarray:
        """What the network is given: float32 (3, size, size).

        Raises:
            ImageReadError: the bytes are not a whole image.
        """
        pixels = read_pixels(image, self._spec)
        if self._about["channel_order"] == "BGR":
            pixels = pixels[..., ::-1]
        return normalise(pixels[None], self._spec)[0]

    def logits(self, images_NCHW: np.ndarray) -> np.ndarray:
        """Scores before softmax, float32 (N, classes)."""
        return np.asarray(self._forward(images_NCHW), np.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Softmax of the logits divided by the temperature: float64 (N, classes)."""
        return softmax(logits.astype(np.float64) / self._about["temperature"])

    def answer(self, name: str, logits: np.ndarray, num_top: int) -> dict[str, Any]:
        """What it says of one image: path, label, confidence, top, accepted, sure, familiar.

        `sure` where the confidence reaches the threshold that was chosen, `familiar` where the image is like those of
        the training (null where this model cannot tell); `accepted` where neither says no.
        """
        probabilities = self.probabilities(logits[None])[0]
        best = np.argsort(-probabilities, kind="stable")
        top = [[self.labels[i], float(probabilities[i])] for i in best[:num_top]]
        threshold, highest = self._about["abstention_threshold"], self._about["energy_threshold"]
        sure = threshold is None or top[0][1] >= threshold
        familiar = None if highest is None else bool(energy(logits[None])[0] <= highest)
        return {
            "path": name,
            "label": top[0][0],
            "confidence": top[0][1],
            "top": top,
            "accepted": sure and familiar is not False,
            "sure": sure,
            "familiar": familiar,
        }


def batches(model: Model, images: Sequence[Path]) -> Iterator[tuple[list[int], np.ndarray, dict[int, str]]]:
    """For every `BATCH` images: places of those that can be read, their tensors, and by place why others cannot."""

    def read(place: int) -> np.ndarray | ImageReadError:
        try:
            return model.tensor(images[place])
        except ImageReadError as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(images), BATCH):
            places = range(start, min(start + BATCH, len(images)))
            found = dict(zip(places, pool.map(read, places), strict=True))
            good = {place: one for place, one in found.items() if isinstance(one, np.ndarray)}
            stacked = np.stack(list(good.values())) if good else np.empty((0, 3, 1, 1), np.float32)
            yield list(good), stacked, {place: str(found[place]) for place in places if place not in good}


def classify(model: Model, images: Sequence[str], num_top: int) -> list[dict[str, Any]]:
    """An answer for every image in order; one that cannot be read gets `label` null and the reason as `error`."""
    answers: dict[int, dict[str, Any]] = {}
    for places, tensors, unreadable in batches(model, [Path(name) for name in images]):
        logits = model.logits(tensors) if places else []
        for place, row in zip(places, logits, strict=True):
            answers[place] = model.answer(images[place], row, num_top)
        for place, reason in unreadable.items():
            answers[place] = {"path": images[place], "label": None, "confidence": None, "top": [], "error": reason}
    return [answers[place] for place in range(len(images))]


def replay(model: Model, images: Sequence[Path], into: Path, threads: int, seconds: float) -> dict[str, Any]:
    """Write the probabilities of all images, float32 (N, labels), NaN for one that cannot be read; time the network.

    Says `replayed M of N` as it goes.

    Returns:
        labels; unreadable: reasons by place; alone_gap: how much a probability changes where an image is not in a batch
        with others; single, batch: the network's speed (see `Speed`), None where no image could be read.
    """
    probabilities = np.full((len(images), len(model.labels)), np.nan, np.float32)
    unreadable: dict[int, str] = {}
    few, alone_gap, done = np.empty((0, 3, 1, 1), np.float32), 0.0, 0
    for places, tensors, failed in batches(model, images):
        if places:
            together = model.probabilities(model.logits(tensors))
            probabilities[places] = together
            if not len(few):
                few = tensors
                alone = [model.probabilities(model.logits(one[None]))[0] for one in tensors[:ALONE]]
                alone_gap = float(np.abs(np.stack(alone) - together[:ALONE]).max())
        unreadable |= failed
        done += len(places) + len(failed)
        print(f"replayed {done} of {len(images)}", flush=True)
    np.save(into, probabilities)
    speeds = measure_both(model.logits, few, threads, seconds) if len(few) else None
    return {
        "labels": model.labels,
        "unreadable": unreadable,
        "alone_gap": alone_gap if np.isfinite(alone_gap) else 1.0,
        "single": None if speeds is None else asdict(speeds[0]),
        "batch": None if speeds is None else asdict(speeds[1]),
    }


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit status: 0, 1 where images could not be read, 2 where none could."""
    parser = argparse.ArgumentParser(description="Classify images with the exported model beside this file.")
    parser.add_argument("images", nargs="*", metavar="IMAGE")
    parser.add_argument("--json", action="store_true", help="one line of JSON in place of text")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to name for each image (default: 5)")
    parser.add_argument("--tensor", metavar="OUT.npy", help="write what the network is given, and classify nothing")
    parser.add_argument("--threads", type=int, default=0, help="that work on one call; 0 leaves it to the runtime")
    parser.add_argument("--replay", metavar="LIST.json", help='{"images": [...], "seconds": 2}: see --into')
    parser.add_argument("--into", metavar="OUT.npy", help="where --replay writes the probabilities")
    options = parser.parse_args(arguments)
    model = Model(Path(__file__).resolve().parent, options.threads)
    if options.replay:
        given = json.loads(Path(options.replay).read_text(encoding="utf-8"))
        images = [Path(name) for name in given["images"]]
        print(json.dumps(replay(model, images, Path(options.into), options.threads, given["seconds"])), flush=True)
        return 0
    if not options.images:
        parser.error("name at least one image")
    if options.tensor:
        np.save(options.tensor, np.stack([model.tensor(Path(name)) for name in options.images]))
        return 0
    answers = classify(model, options.images, max(1, options.top))
    failed = sum(answer["label"] is None for answer in answers)
    for answer in answers:
        if "error" in answer:
            print(f"{answer['path']}: {answer['error']}", file=sys.stderr)
        elif not options.json:
            said = f"{answer['label']} ({answer['confidence']:.1%})"
            if not answer["accepted"]:
                why = "unlike its training images" if answer["familiar"] is False else "not sure"
                said = f"no answer: {why}; likeliest {said}"
            print(f"{answer['path']}: {said}")
    if options.json:
        print(json.dumps({"predictions": answers}, ensure_ascii=False), flush=True)
    return 0 if not failed else 2 if failed == len(answers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
