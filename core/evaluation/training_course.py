"""How a training went, as the signs of a diagnosis look at it: its epochs, and of how many images each figure is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import TrainConfig
from core.evaluation.remarks import Share, share_of

_FIGURES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


@dataclass(frozen=True)
class Training:
    """How a training went.

    Attributes:
        history: one row an epoch, as in `metrics.jsonl`.
        num_train, num_val: images.
        held_out: images it has not learned from that the kept epoch answers rightly.
        commonest: of the same images, how many are of the commonest class.
        losses: of each of them, nats.
    """

    history: Sequence[dict[str, Any]]
    config: TrainConfig
    num_train: int
    num_val: int
    held_out: Share
    commonest: Share
    losses: np.ndarray

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The epochs whose figures are numbers."""
        return [row for row in self.history if all(is_number(row.get(name)) for name in _FIGURES)]

    @property
    def kept(self) -> dict[str, Any]:
        """The epoch whose weights are kept: the first best one by what was monitored."""
        monitor = self.config.stop.monitor
        sign = 1 if monitor == "val_loss" else -1
        return min(self.rows, key=lambda row: sign * row.get(monitor, row["val_loss"]))

    @property
    def is_mixed(self) -> bool:
        """Whether training accuracy is of blended images, which says little."""
        return bool(self.config.augment.mixup or self.config.augment.cutmix)

    def train(self, row: dict[str, Any]) -> Share:
        return share_of(row["train_accuracy"], self.num_train)

    def val(self, row: dict[str, Any]) -> Share:
        return share_of(row["val_accuracy"], self.num_val)

    def latest(self) -> int:
        """How many epochs the last fifth is, at least one."""
        return max(1, len(self.rows) // 5)


def is_number(value: object) -> bool:
    """Whether it is one that can be reckoned with: neither missing nor NaN nor infinite."""
    return isinstance(value, int | float) and math.isfinite(value)
