"""The export of 8-bit numbers: a quarter of the size, calibrated on training images, checked on validation images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DarkroomError
from core.evaluation.side_jobs import meter
from core.exports.format import Choice, Format, Source, Tolerance
from core.jobs import StatusWriter
from core.preprocess import normalise

CALIBRATION_IMAGES, VAL_IMAGES, RANKING_IMAGES = 160, 500, 32
TOLERANCE = Tolerance(agreement=0.95, probability_gap=1.0, accuracy_drop=0.01)
_LISTED = 6


@dataclass(frozen=True)
class Held:
    """How 8 bits compare with float32 on validation images.

    Attributes:
        images: compared.
        agreement: share that get the same class, 0..1.
        accuracy_before, accuracy_after: shares classified rightly, 0..1.
    """

    images: int
    agreement: float
    accuracy_before: float
    accuracy_after: float

    @property
    def is_good(self) -> bool:
        """Half of what the gate allows of the test images, as those are others."""
        drop = self.accuracy_before - self.accuracy_after
        return drop <= TOLERANCE.accuracy_drop / 2 and 1 - self.agreement <= (1 - TOLERANCE.agreement) / 2

    def sentence(self) -> str:
        return (
            f"On {self.images:,} validation images {self.accuracy_before:.1%} were right in float32 and "
            f"{self.accuracy_after:.1%} in INT8; {self.agreement:.1%} get the same class."
        )


def _export(source: Source, folder: Path, options: Mapping[str, Any], status: StatusWriter) -> dict[str, Any]:
    """Write the INT8 graph; layers that cost too much accuracy stay in float32, and are named."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".int8-") as aside:
        return quantise(source, folder / INT8.model, Path(aside), int(options["weight_bits"]), status)


def quantise(source: Source, into: Path, aside: Path, weight_bits: int, status: StatusWriter) -> dict[str, Any]:
    """Write the INT8 graph of a run to `into`; gives what `Format.export` does.

    Args:
        aside: a folder of its own, for what is needed meanwhile.

    Raises:
        DarkroomError: no training or no validation image can be read.
    """
    from core.exports.quantising import Quantiser, fewest_in_float, logits

    status.update(message="Calibrating on training images.")
    calibration, _ = _images(source, "train", CALIBRATION_IMAGES)
    held_out, labels = _images(source, "val", VAL_IMAGES)
    quantiser = Quantiser(source.onnx(aside), calibration, aside, weight_bits)
    before = logits(quantiser.plain, held_out)
    classes = np.asarray(source.bundle.classes, object)

    def compare(in_float: Sequence[str]) -> Held:
        meter(status)(0, 0)  # may have been cancelled
        quantiser.write(into, in_float)
        after = logits(into, held_out).argmax(axis=1)
        right = [float((classes[answers] == labels).mean()) for answers in (before.argmax(axis=1), after)]
        return Held(len(labels), float((after == before.argmax(axis=1)).mean()), *right)

    at_once = held = compare([])
    in_float: list[str] = []
    notes = [held.sentence()]
    if not held.is_good:
        status.update(message="Looking for the layers that INT8 harms most.")
        ranked = quantiser.by_harm(calibration[:RANKING_IMAGES], meter(status, "layers"))
        in_float = fewest_in_float(ranked, lambda kept: compare(kept).is_good) or []
        held = compare(in_float)
        titles = [quantiser.title(layer) for layer in in_float]
        if in_float:
            notes = [_kept(at_once, titles, len(quantiser.layers)), held.sentence()]
        else:
            notes.append("Keeping layers in float32 did not mend that.")
    return {
        "notes": [*notes, *_about_processor(weight_bits)],
        "layers": len(quantiser.layers),
        "in_float": [quantiser.title(layer) for layer in in_float],
        "calibration_images": len(calibration),
        "validation": asdict(held),
    }


def _kept(at_once: Held, titles: Sequence[str], num_layers: int) -> str:
    more = len(titles) - _LISTED
    named = ", ".join(titles[:_LISTED]) + (f" and {more} more" if more > 0 else "")
    loss = at_once.accuracy_before - at_once.accuracy_after
    return (
        f"All {num_layers} layers in INT8 would give another class to {1 - at_once.agreement:.1%} of the validation "
        f"images and change accuracy by {-100 * loss:+.1f} points, so {len(titles)} stay in float32: {named}."
    )


def _images(source: Source, split: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Normalised images float32 (N, 3, H, W) and their labels."""
    pixels, labels = list[np.ndarray](), list[str]()
    for batch, names in source.pixels(split, most):
        pixels.append(normalise(batch, source.bundle.spec))
        labels += names
    if not pixels:
        raise DarkroomError(f"No image of the {split} split can be read.", "Put the dataset's folder back.")
    return np.concatenate(pixels), np.asarray(labels, object)


def _about_processor(weight_bits: int) -> Iterator[str]:
    if has_vnni() is False:
        yield "This processor has no VNNI instructions, so INT8 gains less speed here than where they are."
        if weight_bits == 8:
            yield "Without them sums of 8-bit products overflow; 7 bits keep clear of that."


def has_vnni() -> bool | None:
    """Whether this x86 processor multiplies and adds 8-bit numbers without overflow; None where it does not say."""
    try:
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    except OSError:
        return None
    return bool({"avx_vnni", "avx512_vnni"} & set(flags)) if flags else None


CHOICES = (
    Choice(
        "weight_bits",
        "Bits of a weight",
        (7, 8),
        "7 gives the same answers on every processor. 8 is a little more exact on those with VNNI and on ARM, "
        "and wrong on other x86 processors.",
    ),
)
INT8 = Format(
    "onnx-int8",
    "ONNX INT8",
    "For ONNX Runtime where size and speed count: a quarter of the size, and faster on processors made for it.",
    "model.onnx",
    "onnx_model",
    ("onnxruntime",),
    _export,
    TOLERANCE,
    choices=CHOICES,
)
