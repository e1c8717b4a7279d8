"""Which parts of a network learn, from when and how fast: the head, the last stages, all, or one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from core.config import ModelConfig


class Staged(Protocol):
    """A network that knows its parts in order; `core.training.models.Network` is one."""

    def stages(self) -> list[nn.Module]: ...


@dataclass(frozen=True)
class ParameterGroup:
    """Parts that learn alike.

    Attributes:
        modules: the parts; views that share the network's modules.
        rate: factor on the learning rate, more than 0, at most 1.
        from_epoch: finished epochs before they begin to learn; 0 is from the start, None never.
    """

    modules: list[nn.Module]
    rate: float
    from_epoch: int | None


def parameter_groups(network: Staged, model: ModelConfig) -> list[ParameterGroup]:
    """All stages of the network in groups from images to logits, as `model.tune` says.

    Stages that share rate and beginning share a group. A stage's rate is `stage_rate` to the power of its distance
    from the head (discriminative rates, gradual unfreezing: Howard and Ruder 2018, ULMFiT).
    """
    stages = network.stages()
    found: list[ParameterGroup] = []
    for index, stage in enumerate(stages):
        distance = len(stages) - 1 - index
        from_epoch = _from_epoch(distance, model)
        rate = model.stage_rate**distance if from_epoch is not None else 1.0
        if found and (found[-1].rate, found[-1].from_epoch) == (rate, from_epoch):
            found[-1].modules.append(stage)
        else:
            found.append(ParameterGroup([stage], rate, from_epoch))
    return found


def _from_epoch(distance: int, model: ModelConfig) -> int | None:
    """When a stage at that distance from the head begins to learn."""
    if model.tune == "all" or distance == 0:
        return 0
    if model.tune == "last":
        return 0 if distance <= model.tune_stages else None
    return distance * model.unfreeze_every if model.tune == "gradual" else None
