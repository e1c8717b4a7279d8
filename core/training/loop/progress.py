"""How far a run has come: its best epoch, when patience runs out, when the learning rate is lowered."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from core.config import OptimConfig, ScheduleConfig, StopConfig
from core.errors import DarkroomError
from core.training.loop.totals import Totals


@dataclass
class Progress:
    """What finished epochs have shown.

    Attributes:
        epoch: how many are finished.
        best_epoch: from 1; 0 before any is finished. `best_value` is its monitored figure, as one to be made small.
        epochs_without_improvement: since the best one.
        plateau_best, plateau_epochs: the same for the schedule plateau, which begins anew when it lowers the rate.
        num_lowered: how often it has.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    epochs_without_improvement: int = 0
    plateau_best: float = math.inf
    plateau_epochs: int = 0
    num_lowered: int = 0

    def is_complete(self, optim: OptimConfig, stop: StopConfig) -> bool:
        """Whether the last epoch is done, or patience has run out."""
        return self.epoch >= optim.epochs or 0 < stop.patience <= self.epochs_without_improvement

    def note(self, row: dict[str, Any], validated: nn.Module, stop: StopConfig, schedule: ScheduleConfig) -> None:
        """Take in a finished epoch, and keep the weights where it is the best so far.

        The plateau is that of torch's ReduceLROnPlateau: the rate is lowered by the epoch that follows
        `plateau_patience` others without an improvement of `stop.min_delta`.
        """
        self.epoch = row["epoch"]
        value = row["val_loss"] if stop.monitor == "val_loss" else -row[stop.monitor]
        if value < self.best_value - stop.min_delta or not self.best_weights:
            self.best_value, self.best_epoch = value, self.epoch
            self.best_weights = copied_weights(validated)
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1
        if value < self.plateau_best - stop.min_delta:
            self.plateau_best, self.plateau_epochs = value, 0
        else:
            self.plateau_epochs += 1
        if schedule.kind == "plateau" and self.plateau_epochs > schedule.plateau_patience:
            self.num_lowered, self.plateau_epochs = self.num_lowered + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """All but the weights, which stand beside it in a checkpoint."""
        return {name: value for name, value in vars(self).items() if name != "best_weights"}


def make_row(epoch: int, trained: Totals, validated: Totals, learning_rate: float) -> dict[str, Any]:
    """One line of the metrics.

    Raises:
        DarkroomError: the validation loss is not a number, though that of training was.
    """
    if not math.isfinite(validated.loss):
        raise DarkroomError(
            f"The validation loss is no longer a number after epoch {epoch}.", "Lower optim.learning_rate."
        )
    row = {
        "epoch": epoch,
        "train_loss": trained.mean_loss(),
        "train_accuracy": trained.accuracy(),
        "val_loss": validated.mean_loss(),
        "val_accuracy": validated.accuracy(),
        "val_balanced_accuracy": validated.balanced_accuracy,
        "learning_rate": learning_rate,
        "images_per_s": trained.images_per_s(),
        "seconds": trained.seconds + validated.seconds,
        "waiting_s": trained.waiting_s,
    }
    norm = trained.mean_norm()
    return row if norm is None else row | {"grad_norm": norm}


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors in main memory, each in plain order, whatever becomes of the model."""
    found = {}
    for name, value in model.state_dict().items():
        own = value.detach().cpu().contiguous()
        found[name] = own.clone() if own.data_ptr() == value.data_ptr() else own
    return found
