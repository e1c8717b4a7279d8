"""The training loop: given batches, a model and callbacks it fits the model; it knows neither files nor pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from core.training.batching.batches import Batches
from core.training.distributed import ALONE, Ranks
from core.training.loop.faults import Diverged, OutOfMemory
from core.training.loop.fitting import Fitting
from core.training.loop.numerics import numerical_mode
from core.training.loop.progress import Progress
from core.training.loop.recipe import Callbacks, Recipe
from core.training.loop.threads import worthwhile_threads
from core.training.loop.validation import evaluate
from core.training.models.groups import ParameterGroup

__all__ = ["Callbacks", "Diverged", "OutOfMemory", "Progress", "Recipe", "evaluate", "fit", "is_complete"]


def fit(
    model: nn.Module,
    groups: Sequence[ParameterGroup] | None,
    train: Batches,
    val: Batches,
    recipe: Recipe,
    callbacks: Callbacks,
    saved: dict[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> Progress:
    """Train until the last epoch, until it no longer improves, or until asked to stop.

    Args:
        model: gives logits (N, num_classes).
        groups: what learns, from when and how fast; None: everything that requires gradients, alike.
        saved: a state that a callback or `OutOfMemory` was given in an earlier, interrupted call; the rest goes as it
            would have, to the last bit on a CPU. It becomes part of this call: do not use it again.
        ranks: the processes that train together, each in a call of its own with its part of every batch.

    Returns:
        Progress, with the best epoch's weights; `best_epoch` is 0 where no epoch was finished.

    Raises:
        Diverged: the loss is no longer a number, or has exploded.
        OutOfMemory: a batch did not fit; it carries the state to go on from with smaller batches.
        InputError: the settings ask of this network or device what it cannot do.
    """
    with numerical_mode(recipe.runtime, recipe.device), worthwhile_threads(model):
        fitting = Fitting(model, groups, train, val, recipe, callbacks, ranks)
        if saved:
            fitting.restore(saved)
        while not is_complete(fitting.progress, recipe):
            fitting.wake()
            if not (fitting.learn() and fitting.validate()):
                fitting.save_where_stopped()
                break
        return fitting.progress


def is_complete(progress: Progress, recipe: Recipe) -> bool:
    """Whether the last epoch is done, or patience has run out."""
    return progress.is_complete(recipe.optim, recipe.stop)
