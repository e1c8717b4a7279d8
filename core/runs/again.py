"""What a run's end and course say about its settings: what would have done instead, what was changed on the way."""

from __future__ import annotations

from typing import Any

from core.config import TrainConfig
from core.jobs import Status
from core.wording import count

DIVERGED = "Diverged"  # the name of `core.training.loop.faults.Diverged`, as the worker notes it
LOWER = 10  # what the engine's own advice divides the learning rate by


def would_do(config: TrainConfig, status: Status) -> dict[str, Any]:
    """Settings, `{"group.field": value}`, with which a run that failed is likely to work; empty where none is known."""
    if status.state == "failed" and status.extra.get("error") == DIVERGED:
        return {"optim.learning_rate": float(f"{config.optim.learning_rate / LOWER:g}")}
    return {}


def halved_batch(config: TrainConfig, status: Status) -> str:
    """What was done about too little memory, as a sentence; empty where nothing had to be."""
    batch_size, accumulate = status.extra.get("batch_size"), status.extra.get("accumulate")
    if not batch_size or not accumulate or batch_size == config.optim.batch_size:
        return ""
    return (
        f"Memory ran out with batches of {count(config.optim.batch_size)}. It learns from batches of "
        f"{count(batch_size)}, {count(accumulate)} to a step, so each step sees as many images as before."
    )
