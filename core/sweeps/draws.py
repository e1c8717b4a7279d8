"""How values are drawn and trials pruned: Optuna's samplers and pruners as a sweep's spec asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from core.sweeps.space import Choices, Dimension, grid, is_whole
from core.sweeps.spec import SweepSpec

FIRST = 10  # trials drawn at random before TPE has something to go by
UNPRUNED = 4  # finished trials before the median means something


class ByNumber(BaseSampler):
    """A sampler whose draws follow from the sweep's seed and the trial's number.

    So no two processes draw the same, and one that goes on does not repeat what an earlier one drew.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._spec = spec
        self._sampler = _sampler(spec, 0)

    def reseed_rng(self) -> None:
        """Nothing: see the class."""

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed by the trial."""
        self._sampler = _sampler(self._spec, trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def _sampler(spec: SweepSpec, number: int) -> BaseSampler:
    if spec.sampler == "grid":
        return GridSampler(grid(spec.space), seed=spec.seed)  # the grid's order must be the same for all trials
    seed = (spec.seed * 1_000_003 + number) % 2**31
    if spec.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=FIRST)


def pruner(spec: SweepSpec) -> BasePruner:
    """What decides whether a trial goes on."""
    if spec.pruner == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=spec.epochs, reduction_factor=3)
    if spec.pruner == "median":
        return MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=max(2, spec.epochs // 5))
    return NopPruner()


def distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """The space as Optuna knows it."""
    return {path: _distribution(path, dimension) for path, dimension in space.items()}


def _distribution(path: str, dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(list(dimension.values))
    if is_whole(path):
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
