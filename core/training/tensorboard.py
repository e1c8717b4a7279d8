"""The run's event files for TensorBoard: curves, the first batch, the confusion matrix, and the settings beside scores.

The writer of torch hands events to a thread of its own; noting a number takes a fraction of a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

EVERY_S = 1.0  # between two notes from inside an epoch
SPEED = "speed"  # the folder of their curve, which TensorBoard shows as a run beside the others
TAGS = {  # a row's names -> what TensorBoard groups by the part before the slash
    "train_loss": "loss/training",
    "val_loss": "loss/validation",
    "train_accuracy": "accuracy/training",
    "val_accuracy": "accuracy/validation",
    "val_balanced_accuracy": "balanced_accuracy/validation",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
    "images_per_s": "images_per_s/epoch",
}
SCORES = ("test_accuracy", "val_accuracy", "test_loss", "val_loss", "macro_f1")
_CELL, _MARGIN, _MOST_NAMED = 36, 130, 40
_WHITE, _INK, _BLUE = (255, 255, 255), (30, 30, 30), (31, 84, 160)


class EventWriter:
    """Writes one run's events.

    Args:
        folder: where the event files go; those of an earlier part of a resumed run stay beside the new one.
        first_epoch: the epoch training goes on with; what an earlier part noted from there on is not shown twice.
    """

    def __init__(self, folder: Path, first_epoch: int = 1) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch if first_epoch > 1 else None)
        # Of its own, as its steps are thousandths: what is not shown twice is counted in steps of all curves of a file.
        again = 1000 * (first_epoch - 1) + 1 if first_epoch > 1 else None
        self._speed = SummaryWriter(str(folder / SPEED), purge_step=again)
        self._noted = time.monotonic()

    def step(self, epoch: int, step: int, num_steps: int, images_per_s: float) -> None:
        """Note the speed at most once a second, whatever the number of steps."""
        now = time.monotonic()
        if now - self._noted >= EVERY_S:
            self._noted = now
            # In thousandths of an epoch: whatever becomes of the batch size, the same place has the same number.
            place = round(1000 * (epoch - 1 + step / max(1, num_steps)))
            self._speed.add_scalar("images_per_s/within_epochs", images_per_s, place)

    def epoch(self, row: dict[str, Any]) -> None:
        """Note an epoch's row of `metrics.jsonl`."""
        for name, tag in TAGS.items():
            if row.get(name) is not None:
                self._writer.add_scalar(tag, row[name], row["epoch"])

    def first_batch(self, images_NHWC: np.ndarray) -> None:
        """Note what the network really sees: uint8 (N, H, W, 3)."""
        self._writer.add_images("first_batch", images_NHWC, 0, dataformats="NHWC")

    def finished(self, settings: dict[str, Any], report: dict[str, Any], epoch: int) -> None:
        """Note the confusion matrix of the test images, and the scores beside the settings.

        Args:
            settings: `{"group.field": value}`.
            report: see `core.evaluation.report`; a figure it lacks is left out.
            epoch: the one whose weights are kept.
        """
        scores = {f"score/{name}": float(report[name]) for name in SCORES if report.get(name) is not None}
        for name, value in scores.items():
            self._writer.add_scalar(name, value, epoch)
        for summary in hparams(settings, scores):
            self._writer._get_file_writer().add_summary(summary)  # add_hparams would write them as a run of its own
        picture = confusion_picture(report.get("confusion") or [], report.get("classes") or [])
        if picture is not None:
            self._writer.add_image("confusion_matrix", picture, epoch, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory to the disk."""
        self._writer.close()
        self._speed.close()


def confusion_picture(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> np.ndarray | None:
    """The confusion matrix as a picture, uint8 (H, W, 3): rows true, columns predicted, darker for a larger share.

    Each cell's shade is its share of the row, so a rare class is as visible as a common one. None without classes.
    """
    if not classes or not len(counts):
        return None
    named = len(classes) <= _MOST_NAMED
    cell, margin = (_CELL, _MARGIN) if named else (max(2, 800 // len(classes)), 4)
    side = margin + cell * len(classes) + 4
    picture = Image.new("RGB", (side, side), _WHITE)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=12)
    for row, numbers in enumerate(counts):
        total = max(1, sum(numbers))
        for column, number in enumerate(numbers):
            share = number / total
            left, top = margin + column * cell, margin + row * cell
            draw.rectangle((left, top, left + cell - 2, top + cell - 2), fill=_shade(share))
            if named and number:
                middle = (left + cell / 2 - 1, top + cell / 2 - 1)
                draw.text(middle, f"{number}", fill=_WHITE if share > 0.5 else _INK, anchor="mm", font=font)
    if named:
        _name_rows_and_columns(picture, draw, font, classes)
    return np.asarray(picture)


def _name_rows_and_columns(picture: Image.Image, draw: ImageDraw.ImageDraw, font: Any, classes: Sequence[str]) -> None:
    draw.text((4, 4), "rows: true\ncolumns: predicted", fill=_INK, font=font)
    for place, name in enumerate(classes):
        short = name if len(name) <= 18 else f"{name[:17]}…"
        middle = _MARGIN + place * _CELL + _CELL / 2
        draw.text((_MARGIN - 6, middle), short, fill=_INK, anchor="rm", font=font)
        upright = Image.new("RGB", (_MARGIN - 40, 16), _WHITE)
        ImageDraw.Draw(upright).text((0, 8), short, fill=_INK, anchor="lm", font=font)
        picture.paste(upright.rotate(90, expand=True), (int(middle) - 8, 36))


def _shade(share: float) -> tuple[int, int, int]:
    red, green, blue = (round(white + (full - white) * share) for white, full in zip((244,) * 3, _BLUE, strict=True))
    return red, green, blue
