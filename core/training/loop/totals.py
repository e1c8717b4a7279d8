"""Sums over one pass, read from the device as seldom as can be, and the watch for a training that has diverged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import OptimConfig
from core.training.distributed import Ranks
from core.training.loop.faults import Diverged

READ_EVERY = 16  # steps; each reading makes the CPU wait for a GPU, or for the other processes
EXPLODED = 100.0  # times the loss of guessing, or of the first step where that was worse
MEMORY = 0.8  # of the smoothed loss: a single wild batch, which Adam at a high rate survives, is not yet the end


@dataclass
class Totals:
    """Sums over one pass, over all processes. Plain numbers, so that they can be saved.

    Attributes:
        loss: summed over images.
        seconds: of computing and of waiting for images; `waiting_s` is the latter alone.
        norm, num_norms: the lengths of gradients before they were clipped, and of how many.
        balanced_accuracy: mean over classes of the share answered right; of validation only.
    """

    loss: float = 0.0
    correct: int = 0
    num_images: int = 0
    seconds: float = 0.0
    waiting_s: float = 0.0
    norm: float = 0.0
    num_norms: int = 0
    balanced_accuracy: float = 0.0

    def mean_loss(self) -> float:
        return self.loss / max(1, self.num_images)

    def accuracy(self) -> float:
        return self.correct / max(1, self.num_images)

    def images_per_s(self) -> float:
        return self.num_images / max(1e-9, self.seconds)

    def mean_norm(self) -> float | None:
        """None where gradients were not clipped."""
        return self.norm / self.num_norms if self.num_norms else None


class Tally:
    """Collects the figures of steps on their device and adds them to the totals a few steps at a time.

    No divergence is missed by that: the loss of every step is looked at, at most `READ_EVERY` steps later and before
    anything is saved. On a CPU in a single process, where reading costs nothing, it is looked at at once.
    """

    def __init__(self, optim: OptimConfig, num_classes: int, device: torch.device, ranks: Ranks) -> None:
        self._optim, self._ranks, self._guessing = optim, ranks, math.log(max(2, num_classes))
        self._every = 1 if device.type == "cpu" and ranks.size == 1 else READ_EVERY
        self._unread: list[tuple[int, int, int]] = []
        self._figures: list[Tensor] = []
        self._limit: float | None = None
        self._smoothed = 0.0

    def add(self, totals: Totals, epoch: int, step: int, num_images: int, figures: Tensor) -> None:
        """Note one step.

        Args:
            num_images: of the step, over all processes.
            figures: float32 (3,): the loss summed over this process's images, how many were answered right, and the
                length of the gradient, NaN where it was not measured.

        Raises:
            Diverged: at this step or one noted before.
        """
        self._unread.append((epoch, step, num_images))
        self._figures.append(figures)
        if len(self._unread) >= self._every:
            self.read(totals)

    def read(self, totals: Totals) -> None:
        """Add what is unread to the totals. With several processes each must call it after the same step."""
        if not self._unread:
            return
        rows = self._ranks.all_reduce_sum(torch.stack(self._figures)).tolist()
        places, self._unread, self._figures = self._unread, [], []
        for (epoch, step, num_images), (loss, correct, norm) in zip(places, rows, strict=True):
            self._check(loss / num_images, epoch, step)
            totals.loss += loss
            totals.correct += round(correct)
            if math.isfinite(norm):  # fp16 tries scales too large now and then, and leaves the step out
                totals.norm += norm / self._ranks.size
                totals.num_norms += 1

    def _check(self, loss: float, epoch: int, step: int) -> None:
        if not math.isfinite(loss):
            cause = f"The loss is no longer a number at epoch {epoch}, step {step}: training has diverged."
            raise Diverged(cause, self._suggestion(), epoch, step, loss)
        if self._limit is None:
            self._limit, self._smoothed = EXPLODED * max(self._guessing, loss), loss
        self._smoothed = MEMORY * self._smoothed + (1 - MEMORY) * loss
        if self._smoothed > self._limit:
            guess = f"guessing would be {self._guessing:.1f}"
            cause = (
                f"The loss has exploded to {loss:.3g} at epoch {epoch}, step {step} ({guess}): training has diverged."
            )
            raise Diverged(cause, self._suggestion(), epoch, step, loss)

    def _suggestion(self) -> str:
        rate = self._optim.learning_rate
        clip = "" if self._optim.clip_norm else ", or set optim.clip_norm = 1"
        return f"Lower optim.learning_rate (now {rate:g}), for instance to {rate / 10:g}{clip}."
