"""Whether an export answers as the trained model does: asked of its own predict.py, on every test image."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.errors import DarkroomError
from core.evaluation.side_jobs import Cancelled, meter
from core.exports.format import Tolerance
from core.exports.package import SCRIPT
from core.exports.reference import Reference
from core.files import tail_text, write_json
from core.jobs import StatusWriter
from core.wording import count, percent, significant

MOST_LISTED = 200  # images that differ
_LOOK_S = 0.2
_OUT, _ERRORS, _LIST, _FOUND = "out.txt", "errors.txt", "list.json", "found.npy"


@dataclass(frozen=True)
class Replayed:
    """What an export's predict.py said.

    Attributes:
        labels: its classes, in the order of the columns of `probabilities`.
        probabilities: float32 (N, labels), NaN for an image that it could not read.
        alone_gap: how much a probability changes where an image is not in a batch with others.
        single, batch: speed of the network alone, the fields of `core.inference.speed.Speed`.
    """

    labels: list[str]
    probabilities: np.ndarray
    alone_gap: float
    single: dict[str, Any]
    batch: dict[str, Any]


@dataclass(frozen=True)
class Judgement:
    """How an export compares with the trained model on the test images that PyTorch can read.

    Attributes:
        ready: nothing is out of tolerance.
        reasons: what is, each naming its figure.
        sentence: the outcome in a sentence or two.
        num_images: compared.
        same_label: of those, how many get the same class.
        agreement: that as a share, 0..1.
        max_probability_gap, mean_probability_gap: over the images, of each image's largest difference of a probability.
        worst_image: path of the image with the largest.
        alone_gap: see `Replayed`.
        accuracy_before, accuracy_after: shares of images classified rightly, by PyTorch and by the export.
        gained, lost: images that only the export, and that only PyTorch, classifies rightly.
        classes: of every class its label, images, right_before and right_after.
        differing: images with another class, or else with a gap that is too large; the largest gap first, at most
            `MOST_LISTED`: path, label, before, before_confidence, after, after_confidence, gap. `after` is empty where
            the export could not read the image.
    """

    ready: bool
    reasons: list[str]
    sentence: str
    num_images: int
    same_label: int
    agreement: float
    max_probability_gap: float
    mean_probability_gap: float
    worst_image: str
    alone_gap: float
    accuracy_before: float
    accuracy_after: float
    gained: int
    lost: int
    classes: list[dict[str, Any]]
    differing: list[dict[str, Any]]


def replay(folder: Path, images: Sequence[Path], status: StatusWriter, seconds: float, threads: int = 0) -> Replayed:
    """Have the folder's predict.py, as a process of its own that sees nothing of Darkroom, answer these images.

    Args:
        seconds: to measure its speed for, see `core.inference.speed.measure`.
        threads: that work on one call; 0 leaves it to the runtime.

    Raises:
        DarkroomError: it ended in another way than with its answers.
        Cancelled: somebody asked for that.
    """
    with tempfile.TemporaryDirectory(prefix="darkroom-replay-") as name:
        aside = Path(name)
        write_json(aside / _LIST, {"images": [str(image) for image in images], "seconds": seconds}, durable=False)
        command = [sys.executable, *_alone(), str(folder / SCRIPT), "--replay", str(aside / _LIST)]
        command += ["--into", str(aside / _FOUND), "--threads", str(threads)]
        with open(aside / _OUT, "wb") as out, open(aside / _ERRORS, "wb") as errors:
            process = subprocess.Popen(
                command, cwd=aside, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=_plain_environment()
            )
        try:
            _await(process, aside / _OUT, status)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            said = (tail_text(aside / _ERRORS).strip().splitlines() or ["it said nothing"])[-1]
            raise DarkroomError(
                f"The export's predict.py ended with status {process.returncode}: {said}",
                f"Try it: python {folder / SCRIPT} --help",
            )
        told = json.loads((aside / _OUT).read_text(encoding="utf-8").splitlines()[-1])
        found = np.load(aside / _FOUND)
    if told["single"] is None:
        raise DarkroomError("The export's predict.py could not read one of the test images.")
    return Replayed(told["labels"], found, told["alone_gap"], told["single"], told["batch"])


def judge(reference: Reference, classes: Sequence[str], found: Replayed, tolerance: Tolerance) -> Judgement:
    """Compare every probability of every image, class by class by their names.

    Args:
        classes: the model's, in the order of the reference's columns.
    """
    if len(found.labels) != len(classes) or set(found.labels) != set(classes):
        return _of_other_labels(reference, classes, found.labels)
    read = ~np.isnan(reference.logits).any(axis=1)
    rows = reference.rows[read].reset_index(drop=True)
    before = reference.probabilities()[read]
    after = found.probabilities[read][:, pd.Index(found.labels).get_indexer(list(classes))]
    answered = np.isfinite(after).all(axis=1)
    after[~answered] = 0
    gaps = np.where(answered, np.abs(before - after).max(axis=1), 1.0)
    labels = pd.Index(list(classes)).get_indexer(rows["label"])
    top_before, top_after = before.argmax(axis=1), np.where(answered, after.argmax(axis=1), -2)
    same, right_before, right_after = top_before == top_after, top_before == labels, top_after == labels
    worst = int(gaps.argmax())
    figures = {
        "agreement": float(same.mean()),
        "max_probability_gap": float(gaps[worst]),
        "accuracy_before": float(right_before.mean()),
        "accuracy_after": float(right_after.mean()),
    }
    reasons = _reasons(figures, found.alone_gap, int((~same).sum()), len(rows), tolerance)
    if unanswered := int((~answered).sum()):
        reasons.append(f"Of {count(len(rows), 'test image')} that PyTorch answers it gives no answer to {unanswered}.")
    per_class = [
        {
            "label": name,
            "images": int(of_class.sum()),
            "right_before": int((right_before & of_class).sum()),
            "right_after": int((right_after & of_class).sum()),
        }
        for place, name in enumerate(classes)
        for of_class in [labels == place]
    ]
    differs = ~same if not same.all() else gaps > tolerance.probability_gap
    listed = sorted(np.flatnonzero(differs), key=lambda place: (-gaps[place], place))[:MOST_LISTED]
    differing = [
        {
            "path": rows["path"].iloc[place],
            "label": rows["label"].iloc[place],
            "before": classes[top_before[place]],
            "before_confidence": float(before[place].max()),
            "after": classes[top_after[place]] if answered[place] else "",
            "after_confidence": float(after[place].max()) if answered[place] else 0.0,
            "gap": float(gaps[place]),
        }
        for place in listed
    ]
    return Judgement(
        ready=not reasons,
        reasons=reasons,
        sentence=_sentence(reasons, int(same.sum()), len(rows), figures),
        num_images=len(rows),
        same_label=int(same.sum()),
        mean_probability_gap=float(gaps.mean()),
        worst_image=str(rows["path"].iloc[worst]),
        alone_gap=found.alone_gap,
        gained=int((right_after & ~right_before).sum()),
        lost=int((right_before & ~right_after).sum()),
        classes=per_class,
        differing=differing,
        **figures,
    )


def _reasons(figures: dict[str, float], alone_gap: float, num_other: int, total: int, allowed: Tolerance) -> list[str]:
    """What is out of tolerance, each in a sentence with its figure."""
    found = []
    if figures["agreement"] < allowed.agreement:
        found.append(
            f"Top-1 agreement is {percent(figures['agreement'])} ({count(num_other)} of {count(total, 'image')} get "
            f"another class); {percent(allowed.agreement)} is needed."
        )
    if figures["max_probability_gap"] > allowed.probability_gap:
        found.append(
            f"A probability differs by up to {significant(figures['max_probability_gap'])}; "
            f"{significant(allowed.probability_gap)} is allowed."
        )
    dropped = figures["accuracy_before"] - figures["accuracy_after"]
    if dropped > allowed.accuracy_drop + 1e-9:
        found.append(
            f"Accuracy falls from {percent(figures['accuracy_before'])} to {percent(figures['accuracy_after'])}; "
            + (
                f"a fall of {100 * allowed.accuracy_drop:.1f} points is allowed."
                if allowed.accuracy_drop
                else "it may not."
            )
        )
    if alone_gap > allowed.probability_gap:
        found.append(
            f"A probability changes by up to {significant(alone_gap)} with the images that share a batch; "
            f"{significant(allowed.probability_gap)} is allowed."
        )
    return found


def _sentence(reasons: list[str], same: int, total: int, figures: dict[str, float]) -> str:
    if reasons:
        return f"Refused. {' '.join(reasons)}"
    return (
        f"{count(same)} of {count(total, 'test image')} get the class that PyTorch gives them; the largest difference "
        f"of a probability is {significant(figures['max_probability_gap'])}."
    )


def _of_other_labels(reference: Reference, classes: Sequence[str], labels: Sequence[str]) -> Judgement:
    missing, unknown = sorted(set(classes) - set(labels)), sorted(set(labels) - set(classes))
    told = [f"{what} {', '.join(names[:5])}" for what, names in (("without", missing), ("with", unknown)) if names]
    reason = f"Its labels are not the model's: {count(len(labels))} in place of {count(len(classes))}"
    reason += f", {' and '.join(told)}." if told else ", some of them twice."
    total = len(reference.rows)
    return Judgement(False, [reason], f"Refused. {reason}", total, 0, 0.0, 1.0, 1.0, "", 1.0, 0.0, 0.0, 0, 0, [], [])


def _alone() -> list[str]:
    """Python's flags for a program that sees neither this folder nor its environment.

    `-I` would also leave out packages installed for one user alone, which is where this very Python may have its own.
    """
    for_one_user = Path(np.__file__).is_relative_to(site.getusersitepackages())
    return ["-E", "-P"] if for_one_user else ["-I"]


def _plain_environment() -> dict[str, str]:
    """What a stranger's shell would have: nothing that leads to Darkroom or to this environment's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DARKROOM"))}


def _await(process: subprocess.Popen[bytes], said: Path, status: StatusWriter) -> None:
    note, timing = meter(status), False
    while True:
        if status.stop_requested:
            raise Cancelled("Cancelled.")
        try:
            process.wait(timeout=_LOOK_S)
            return
        except subprocess.TimeoutExpired:
            words = (tail_text(said, 200).splitlines() or [""])[-1].split()
            if len(words) == 4 and words[0] == "replayed":
                done, total = int(words[1]), int(words[3])
                note(done, total)
                if done == total and not timing:
                    timing = True
                    status.update(phase="speed", message="Measuring its speed.")


def report(judged: Judgement, tolerance: Tolerance) -> dict[str, Any]:
    """The judgement with what was allowed, as plain values."""
    return {**asdict(judged), "tolerance": asdict(tolerance), "compared": time.time()}
