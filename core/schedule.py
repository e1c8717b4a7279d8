"""How the learning rate moves over a run, as factors on it: for the engine and the form's chart alike."""

from __future__ import annotations

import math
from bisect import bisect_right

from core.config import ScheduleConfig, milestones

ONECYCLE_START, ONECYCLE_END = 1 / 25, 1 / 250_000  # as torch.optim.lr_scheduler.OneCycleLR's defaults


def factor(schedule: ScheduleConfig, step: int, epochs: int, steps_per_epoch: int) -> float:
    """What the learning rate is multiplied by in one optimizer step.

    A step follows from its number alone, so a resumed run needs no state for this. `plateau` depends on what is
    measured while training: here it is constant after the warmup, and the engine multiplies by gamma.

    Args:
        step: counted from 0 over the whole run.
        epochs, steps_per_epoch: the length of the whole run, both at least 1.

    Returns:
        More than 0, at most 1. In the warmup of W steps (s + 1) / (W + 1), times what the kind says of that step;
        the cosine begins after it (Loshchilov & Hutter 2017). onecycle is Smith & Topin 2018 in torch's two-phase form,
        both phases a half cosine, with warmup_fraction as the share of the climb; momentum stays as it is.
    """
    total = max(1, epochs * steps_per_epoch)
    if schedule.kind == "onecycle":
        return _onecycle(step, total, schedule.warmup_fraction)
    warmup = round(total * schedule.warmup_fraction)
    climb = (step + 1) / (warmup + 1) if step < warmup else 1.0
    epochs_done = step // max(1, steps_per_epoch)
    if schedule.kind == "cosine":
        return climb if step < warmup else _half_cosine(1.0, 0.0, (step - warmup) / max(1, total - warmup))
    if schedule.kind == "step":
        return climb * schedule.gamma ** (epochs_done // schedule.step_epochs)
    if schedule.kind == "multistep":
        return climb * schedule.gamma ** bisect_right(milestones(schedule.milestones), epochs_done)
    return climb


def factors(schedule: ScheduleConfig, epochs: int, steps_per_epoch: int) -> list[float]:
    """`factor` of every step of the run, in order."""
    return [factor(schedule, step, epochs, steps_per_epoch) for step in range(epochs * steps_per_epoch)]


def curve(
    schedule: ScheduleConfig, epochs: int, steps_per_epoch: int, most_points: int = 400
) -> list[tuple[float, float]]:
    """(epochs passed, factor) for a chart: every step where they are few, else evenly spread with both ends."""
    total = max(1, epochs * steps_per_epoch)
    count = min(total, most_points)
    steps = sorted({round(place * (total - 1) / max(1, count - 1)) for place in range(count)})
    return [(step / max(1, steps_per_epoch), factor(schedule, step, epochs, steps_per_epoch)) for step in steps]


def _onecycle(step: int, total: int, climb_share: float) -> float:
    top, last = climb_share * total - 1, total - 1
    if step <= top:
        return _half_cosine(ONECYCLE_START, 1.0, step / top if top > 0 else 1.0)
    top = max(0.0, top)
    return _half_cosine(1.0, ONECYCLE_END, (step - top) / max(1.0, last - top))


def _half_cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine; share is clamped to 0..1."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, share))))
