"""How fast a network learns from some batches: a real fit, cut short, with every step timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import torch
from torch import nn

from core.training.batching.batches import Batches
from core.training.loop.engine import Callbacks, Recipe, fit
from core.training.models.groups import ParameterGroup
from core.training.watch import Stopped

WARM_UP = 3  # steps: memory is taken and kernels are chosen in the first ones
LONG_ENOUGH_S, MOST_S = 4.0, 60.0
FEWEST_STEPS = 4  # beyond the warm-up


@dataclass(frozen=True)
class Pace:
    """What a few steps took.

    Attributes:
        warm_up_s: what the first steps took beyond what later ones do; once a run.
        epoch_s: what beginning an epoch takes beyond its steps.
        step_s: one step, loading included.
        waiting_s: of that, waiting for images.
        images_a_step: over all batches of a step.
        val_image_s: one validation image.
        after_epoch_s: what ends an epoch beyond that: the best weights, the state for a checkpoint.
        checkpoint_s: writing that state once; `checkpoint_bytes` is its size.
    """

    warm_up_s: float
    epoch_s: float
    step_s: float
    waiting_s: float
    images_a_step: float
    val_image_s: float
    after_epoch_s: float
    checkpoint_s: float
    checkpoint_bytes: int

    def run_s(self, epochs: int, steps_per_epoch: int, num_val: int) -> float:
        """A whole training without early stopping."""
        return self.warm_up_s + epochs * (
            self.epoch_s + steps_per_epoch * self.step_s + num_val * self.val_image_s + self.after_epoch_s
        )


@dataclass
class _Times:
    """When what happened, in order, as `time.perf_counter` counts."""

    began: float = field(default_factory=time.perf_counter)
    first_steps: list[float] = field(default_factory=list)  # durations
    steps: list[float] = field(default_factory=list)
    epoch_starts: list[float] = field(default_factory=list)
    rows: list[tuple[dict[str, Any], float]] = field(default_factory=list)  # with the seconds since its last step
    checkpoint_s: float = 0.0
    checkpoint_bytes: int = 0
    last: float = 0.0

    def note_step(self, step: int) -> None:
        now = time.perf_counter()
        spent, self.last = now - (self.last or self.began), now
        if len(self.first_steps) < WARM_UP:
            self.first_steps.append(spent)
        elif step == 1:
            self.epoch_starts.append(spent)
        else:
            self.steps.append(spent)

    def note_epoch(self, row: dict[str, Any], state: dict[str, Any]) -> None:
        self.rows.append((row, time.perf_counter() - self.last))
        if not self.checkpoint_bytes:
            began, buffer = time.perf_counter(), BytesIO()
            torch.save(state, buffer)
            self.checkpoint_s, self.checkpoint_bytes = time.perf_counter() - began, buffer.tell()
        self.last = time.perf_counter()

    def is_enough(self) -> bool:
        spent = time.perf_counter() - self.began
        return bool(self.rows) and (
            len(self.steps) >= FEWEST_STEPS and sum(self.steps) >= LONG_ENOUGH_S or spent >= MOST_S
        )


def measure_pace(
    model: nn.Module,
    groups: Sequence[ParameterGroup] | None,
    train: Batches,
    val: Batches,
    recipe: Recipe,
    should_stop: Callable[[], bool],
) -> Pace:
    """Fit for a few seconds, one whole epoch at least, and say what everything took; `model` is changed by it.

    Args:
        train, val: small enough that an epoch takes seconds; an epoch of at least `WARM_UP` + 2 steps tells most.

    Raises:
        OutOfMemory, Diverged: as the run itself would.
        Stopped: asked to.
    """
    times = _Times()
    callbacks = Callbacks(
        on_step=lambda epoch, step, num_steps, images_per_s: times.note_step(step),
        on_epoch=times.note_epoch,
        should_stop=lambda: times.is_enough() or should_stop(),
    )
    endless = replace(
        recipe,
        optim=recipe.optim.model_copy(update={"epochs": 1000}),
        stop=recipe.stop.model_copy(update={"patience": 0}),
    )
    fit(model, groups, train, val, endless, callbacks)
    if should_stop():
        raise Stopped
    row, gap_s = times.rows[0]
    num_steps = -(-len(train.sizes(0, recipe.optim.batch_size)) // recipe.optim.accumulate)
    trained_s = train.num_images / max(row["images_per_s"], 1e-9)
    validated_s = max(0.0, row["seconds"] - trained_s)
    plain = times.steps or times.epoch_starts or times.first_steps
    step_s = sum(plain) / len(plain)
    starts = times.epoch_starts
    # Rows of later epochs hold no warm-up; where there is none, the first tells how much of a step is waiting.
    settled = times.rows[-1][0]
    waiting_s = settled["waiting_s"] / num_steps
    return Pace(
        warm_up_s=max(0.0, sum(times.first_steps) - len(times.first_steps) * step_s),
        epoch_s=max(0.0, sum(starts) / len(starts) - step_s) if starts and times.steps else 0.0,
        step_s=step_s,
        waiting_s=min(waiting_s, step_s),
        images_a_step=train.num_images / num_steps,
        val_image_s=validated_s / max(1, val.num_images),
        after_epoch_s=max(0.0, gap_s - validated_s),
        checkpoint_s=times.checkpoint_s,
        checkpoint_bytes=times.checkpoint_bytes,
    )
