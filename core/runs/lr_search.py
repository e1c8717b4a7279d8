"""The learning-rate finder as pages and command line use it: a helper process tries rising rates on the real images.

How it is done and what the suggestion rests on is in `core.training.trials.lr_finder`.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.config import OptimConfig, ScheduleConfig, StopConfig, TrainConfig
from core.runs.trials import Trial


@dataclass(frozen=True)
class LrCurve:
    """Training loss at rising learning rates.

    Attributes:
        rates: learning rates tried, rising.
        losses: the loss at each, smoothed; as many as rates.
        suggestion: in the middle of its fall; None where it never falls clearly.
        diverges_at: the rate at which the loss blew up; None where it did not within the rates tried.
        note: the same in words.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float | None
    diverges_at: float | None
    note: str


def _asked(config: TrainConfig) -> TrainConfig:
    """The settings without those the search does not depend on, so that its answer stays when they are changed."""
    blank = OptimConfig()
    optim = config.optim.model_copy(update={"learning_rate": blank.learning_rate, "epochs": blank.epochs})
    return config.model_copy(update={"optim": optim, "schedule": ScheduleConfig(), "stop": StopConfig()})


LR_SEARCH = Trial("lr-searches", "core.training.trials.lr_finder", lambda answer, _: LrCurve(**answer), asked=_asked)
