"""The training loop: given batches, a model and callbacks it fits the model; it knows neither files nor pages."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config import OptimConfig, ScheduleConfig, StopConfig
from core.errors import DarkroomError
from core.training.loaders import Batches


@dataclass(frozen=True)
class Recipe:
    """How to fit, as the config says."""

    optim: OptimConfig
    schedule: ScheduleConfig
    stop: StopConfig


@dataclass
class Progress:
    """Everything needed to go on from the end of an epoch as if nothing had happened."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    epochs_without_improvement: int = 0


@dataclass(frozen=True)
class Callbacks:
    """What the loop tells and asks its surroundings.

    Attributes:
        on_step: epoch, step (from 1), number of steps, training images a second in this epoch so far.
        on_epoch: the epoch's row of metrics, and the whole state for a checkpoint, to be saved before returning.
        should_stop: asked before every step; True ends the loop without finishing the epoch.
    """

    on_step: Callable[[int, int, int, float], None]
    on_epoch: Callable[[dict[str, Any], dict[str, Any]], None]
    should_stop: Callable[[], bool]


@dataclass
class Totals:
    """Sums over one pass."""

    loss: float = 0.0
    correct: int = 0
    num_images: int = 0
    seconds: float = 0.0

    def mean_loss(self) -> float:
        return self.loss / max(1, self.num_images)

    def accuracy(self) -> float:
        return self.correct / max(1, self.num_images)

    def images_per_s(self) -> float:
        return self.num_images / max(1e-9, self.seconds)


def fit(
    model: nn.Module,
    train: Batches,
    val: Batches,
    recipe: Recipe,
    callbacks: Callbacks,
    saved: dict[str, Any] | None = None,
) -> Progress:
    """Train until the last epoch, until it no longer improves, or until asked to stop.

    Args:
        saved: what `on_epoch` was given to save in an earlier, interrupted call; the rest goes as it would have.

    Returns:
        Progress, with the best epoch's weights; `best_epoch` is 0 where no epoch was finished.

    Raises:
        DarkroomError: the loss is no longer a number.
    """
    optimizer = build_optimizer(model, recipe.optim)
    schedule = build_schedule(optimizer, recipe, len(train))
    progress = _restore(saved, model, optimizer, schedule) if saved else Progress()
    while not is_complete(progress, recipe):
        epoch = progress.epoch + 1
        learning_rate = schedule.get_last_lr()[0]
        trained = _train_epoch(model, train, recipe.optim, optimizer, schedule, epoch, callbacks)
        if trained is None:
            break
        validated = evaluate(model, val)
        row = _row(epoch, trained, validated, learning_rate)
        _note(progress, row, model, recipe.stop)
        callbacks.on_epoch(row, _state(progress, model, optimizer, schedule))
    return progress


def is_complete(progress: Progress, recipe: Recipe) -> bool:
    """Whether the last epoch is done, or patience has run out."""
    out_of_patience = 0 < recipe.stop.patience <= progress.epochs_without_improvement
    return progress.epoch >= recipe.optim.epochs or out_of_patience


def evaluate(model: nn.Module, batches: Batches) -> Totals:
    """Loss (plain cross-entropy) and accuracy over one pass, without learning from it."""
    model.eval()
    began, totals = time.perf_counter(), Totals()
    with torch.inference_mode():
        for inputs, labels in batches.epoch(0):
            logits = model(inputs)
            _add(totals, F.cross_entropy(logits, labels).item(), logits, labels)
    totals.seconds = time.perf_counter() - began
    return totals


def build_optimizer(model: nn.Module, optim: OptimConfig) -> torch.optim.Optimizer:
    """The configured optimizer; weight decay spares biases and normalisation, as is usual."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    spared = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": optim.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    if optim.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=optim.learning_rate, momentum=optim.momentum, nesterov=optim.momentum > 0)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optim.optimizer]
    return kind(groups, lr=optim.learning_rate)


def build_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warmup, then cosine to zero or constant, stepped after every batch."""
    total = max(1, recipe.optim.epochs * steps_per_epoch)
    warmup = round(total * recipe.schedule.warmup_fraction)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if recipe.schedule.kind == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _train_epoch(
    model: nn.Module,
    train: Batches,
    optim: OptimConfig,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    epoch: int,
    callbacks: Callbacks,
) -> Totals | None:
    """One pass of learning; None when asked to stop before its end."""
    model.train()
    began, totals = time.perf_counter(), Totals()
    for step, (inputs, labels) in enumerate(train.epoch(epoch), start=1):
        if callbacks.should_stop():
            return None
        optimizer.zero_grad(set_to_none=True)
        logits = model(inputs)
        loss = F.cross_entropy(logits, labels, label_smoothing=optim.label_smoothing)
        loss.backward()
        optimizer.step()
        schedule.step()
        value = loss.item()
        if not math.isfinite(value):
            raise DarkroomError(
                f"The loss is no longer a number at epoch {epoch}, step {step}: training has diverged.",
                f"Lower optim.learning_rate (now {optim.learning_rate:g}), for instance to a tenth.",
            )
        _add(totals, value, logits.detach(), labels)
        totals.seconds = time.perf_counter() - began
        callbacks.on_step(epoch, step, len(train), totals.images_per_s())
    return totals


def _add(totals: Totals, loss: float, logits: Tensor, labels: Tensor) -> None:
    totals.loss += loss * len(labels)
    totals.correct += int((logits.argmax(dim=1) == labels).sum())
    totals.num_images += len(labels)


def _row(epoch: int, trained: Totals, validated: Totals, learning_rate: float) -> dict[str, Any]:
    if not math.isfinite(validated.loss):
        raise DarkroomError(
            f"The validation loss is no longer a number after epoch {epoch}.", "Lower optim.learning_rate."
        )
    return {
        "epoch": epoch,
        "train_loss": trained.mean_loss(),
        "train_accuracy": trained.accuracy(),
        "val_loss": validated.mean_loss(),
        "val_accuracy": validated.accuracy(),
        "learning_rate": learning_rate,
        "images_per_s": trained.images_per_s(),
        "seconds": trained.seconds + validated.seconds,
    }


def _note(progress: Progress, row: dict[str, Any], model: nn.Module, stop: StopConfig) -> None:
    """Keep the weights where this epoch is the best so far. `best_value` is one to be made small."""
    progress.epoch = row["epoch"]
    value = row["val_loss"] if stop.monitor == "val_loss" else -row["val_accuracy"]
    if value < progress.best_value - stop.min_delta or not progress.best_weights:
        progress.best_value, progress.best_epoch = value, row["epoch"]
        progress.best_weights = _copied(model.state_dict())
        progress.epochs_without_improvement = 0
    else:
        progress.epochs_without_improvement += 1


def _state(
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> dict[str, Any]:
    """Plain containers and tensors only, so that `torch.load(weights_only=True)` takes it back."""
    return {
        "progress": {name: value for name, value in vars(progress).items() if name != "best_weights"},
        "best_weights": progress.best_weights,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(
    saved: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> Progress:
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    schedule.load_state_dict(saved["schedule"])
    torch.set_rng_state(saved["rng"].cpu())
    if saved["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in saved["cuda_rng"]])
    return Progress(best_weights=_copied(saved["best_weights"]), **saved["progress"])


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
