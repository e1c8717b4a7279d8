"""What the training loop is told: how to fit, and whom to tell and ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.config import OptimConfig, RuntimeConfig, ScheduleConfig, StopConfig


@dataclass(frozen=True)
class Recipe:
    """How to fit, as the config says.

    Attributes:
        optim: its batch_size counts, not that of the batches given: a smaller one goes through the same images.
        class_counts: training images of each class, needed where class_weights = balanced.
    """

    optim: OptimConfig
    schedule: ScheduleConfig
    stop: StopConfig
    runtime: RuntimeConfig = RuntimeConfig()
    num_classes: int = 2
    class_counts: Sequence[int] | None = None
    device: torch.device = torch.device("cpu")


@dataclass(frozen=True)
class Callbacks:
    """What the loop tells and asks its surroundings.

    A state holds the live tensors of the model: it is to be saved before returning. With several processes each of
    them is given it, and the first alone is asked the questions.

    Attributes:
        on_step: epoch, step (from 1), number of steps, training images a second in this epoch so far. A step is one
            change of weights, of `accumulate` batches.
        on_epoch: the epoch's row of metrics, and the whole state for a checkpoint.
        should_stop: asked before every batch; True ends the loop, after `on_checkpoint` with the last finished step.
        should_save: asked after every step; True asks for `on_checkpoint`.
        on_checkpoint: the whole state, in the middle of an epoch.
        on_note: a sentence for the log.
    """

    on_step: Callable[[int, int, int, float], None]
    on_epoch: Callable[[dict[str, Any], dict[str, Any]], None]
    should_stop: Callable[[], bool]
    should_save: Callable[[], bool] = lambda: False
    on_checkpoint: Callable[[dict[str, Any]], None] = lambda state: None
    on_note: Callable[[str], None] = lambda sentence: None
