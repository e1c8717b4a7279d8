"""What a sweep is asked to find: the settings it starts from, those it may change, by which rules and for how long."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from core.config import TrainConfig, build_config, flatten
from core.errors import InputError
from core.sweeps.space import Choices, Dimension, contains, grid_size, impossible, problems_of
from core.wording import percent, significant

Sampler = Literal["tpe", "random", "grid"]
Pruner = Literal["median", "hyperband", "none"]
Metric = Literal["val_accuracy", "val_balanced_accuracy", "val_loss"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)
PRUNERS: tuple[str, ...] = get_args(Pruner)
METRICS: tuple[str, ...] = get_args(Metric)
IN_WORDS = {
    "val_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
}
MOST_AT_ONCE = 64
_KIND: dict[str, Any] = {"extra": "forbid", "frozen": True, "allow_inf_nan": False}


class SweepSpec(BaseModel):
    """The question, the same for all who work on it.

    Attributes:
        base: `{"group.field": value}` of every setting; those in `space` are what the search starts from.
        fingerprint: of the dataset, so that all who share the work learn from the same images.
        sampler: tpe draws near what did well, random anywhere, grid goes through all combinations.
        pruner: median ends a trial that is worse than half of the earlier ones at the same epoch; hyperband gives many
            trials few epochs and few trials many.
        metric: of validation; trials are compared by its best epoch, and that epoch's weights are kept.
        seed: of the draws; a trial's values follow from it, the trial's number and what was known by then.
    """

    model_config = ConfigDict(**_KIND)
    base: dict[str, Any]
    fingerprint: str
    space: dict[str, Dimension]
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    metric: Metric = "val_accuracy"
    seed: int = 0

    @property
    def dataset(self) -> str:
        """The id of the dataset."""
        return str(self.base["data.dataset"])

    @property
    def maximise(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric != "val_loss"

    @property
    def epochs(self) -> int:
        """The most epochs that a trial can take."""
        limits = self.space.get("optim.epochs")
        if limits is None:
            return int(self.base["optim.epochs"])
        return int(max(limits.values) if isinstance(limits, Choices) else limits.high)  # type: ignore[type-var]

    @property
    def start(self) -> dict[str, Any] | None:
        """The values the search starts from; None where they are outside of the space, so that it cannot try them."""
        values = {path: self.base[path] for path in self.space}
        return values if all(contains(self.space[path], value) for path, value in values.items()) else None

    def config(self, values: dict[str, Any]) -> TrainConfig:
        """The settings of a trial; raises `InputError` where they do not go together."""
        return build_config({**self.base, "stop.monitor": self.metric, **values})

    def shown(self, score: float | None) -> str:
        """A score as people read it, with what it is: `validation accuracy 97.3 %`."""
        return f"{IN_WORDS[self.metric]} {significant(score) if self.metric == 'val_loss' else percent(score)}"

    def better(self, one: float, other: float) -> bool:
        """Whether one value of the metric is better than another."""
        return one > other if self.maximise else one < other


class Budget(BaseModel):
    """How much a process may spend; may be changed while a sweep goes on.

    Attributes:
        trials: no new trial begins once the whole study has so many, the start not counted. 0: no limit.
        minutes: of this process's work, after which it begins no new trial. 0: no limit.
        at_once: trials this process keeps under way; each waits for a device slot like any other run.
    """

    model_config = ConfigDict(**_KIND)
    trials: int = 20
    minutes: float = 0.0
    at_once: int = 1


def make_spec(config: TrainConfig, fingerprint: str, space: dict[str, Dimension], **rules: Any) -> SweepSpec:
    """A checked spec.

    Args:
        config: what the search starts from.
        rules: sampler, pruner, metric, seed.

    Raises:
        InputError: everything that is wrong with it.
    """
    try:
        spec = SweepSpec(base=flatten(config), fingerprint=fingerprint, space=space, **rules)
    except ValidationError as error:
        allowed = {"sampler": SAMPLERS, "pruner": PRUNERS, "metric": METRICS}
        words = [
            f"{name} = {detail['input']!r}: allowed is {' or '.join(allowed.get(name, (detail['msg'],)))}"
            for detail in error.errors()
            for name in [str(detail["loc"][0])]
        ]
        raise InputError(f"Sweep to correct: {'; '.join(words)}.") from error
    problems = problems_of(space)
    if not problems:
        failing, tried, reason = impossible(spec.base, space)
        if failing == tried:
            problems.append(f"none of the combinations looked at can be trained: {reason.rstrip('.')}")
    if problems:
        raise InputError(f"Sweep to correct: {'; '.join(problems)}.")
    return spec


def make_budget(spec: SweepSpec, trials: int = 20, minutes: float = 0.0, at_once: int = 1) -> Budget:
    """A checked budget; of a grid no more trials than it has combinations.

    Raises:
        InputError: no limit at all, or a number that cannot be.
    """
    problems = []
    if trials < 0 or trials > 100_000:
        problems.append(f"trials = {trials}: allowed is 0 (no limit) to 100,000")
    if not math.isfinite(minutes) or minutes < 0:
        problems.append(f"minutes = {minutes}: allowed is 0 (no limit) or more")
    if not 1 <= at_once <= MOST_AT_ONCE:
        problems.append(f"at once = {at_once}: allowed is 1 to {MOST_AT_ONCE}")
    if not trials and not minutes and spec.sampler != "grid":
        problems.append("neither a number of trials nor minutes: the search would never end")
    if problems:
        raise InputError(f"Sweep to correct: {'; '.join(problems)}.")
    if spec.sampler == "grid":
        trials = min(trials or grid_size(spec.space), grid_size(spec.space))
    return Budget(trials=trials, minutes=minutes, at_once=at_once)
