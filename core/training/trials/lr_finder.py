"""Program: try rising learning rates on a run's own images. `python -m core.training.trials.lr_finder FOLDER`

One step at each rate, from very low on, until the loss blows up; how that is read is in `rate_test`.
Nothing is kept of what the network learned. See `core.runs.lr_search` for the answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import InputError
from core.jobs import StatusWriter
from core.runs.lr_search import LrCurve
from core.training.backbone.features import compute_features, fastest_engine
from core.training.backbone.kept_features import KeptFeatures
from core.training.batching.batches import Batches, TensorBatches
from core.training.distributed import ALONE
from core.training.loop.engine import Recipe
from core.training.loop.losses import build_loss
from core.training.loop.numerics import choose_numerics
from core.training.loop.optimizers import Optimizers, group_parameters, learns
from core.training.loop.stepping import NoMemory, Stepper
from core.training.materials import Places, image_material
from core.training.models import Network
from core.training.models.groups import ParameterGroup, parameter_groups
from core.training.setup import Setup
from core.training.trials.rate_test import has_blown_up, rates, read
from core.training.trials.trial import run_trial, watch_of
from core.training.watch import Stopped, Watch

MOST_PIXELS = 60_000_000  # of the images tried on: all of CIFAR-10 at 32 px, 1,200 photos at 224 px
MOST_FEATURES = 768  # images whose features are computed: half a minute at most on a slow machine


def find(setup: Setup, status: StatusWriter) -> dict[str, Any]:
    """The fields of `core.runs.lr_search.LrCurve`.

    Raises:
        Stopped: asked to.
    """
    network = setup.network()
    watch = watch_of(status)
    tried = rates()

    def note(done: int) -> None:
        status.progress(done, len(tried), unit="steps")

    if setup.config.model.tune == "head":
        batches = _features(setup, network, watch)
        watch.enter("training", "Trying learning rates.")
        losses = range_test(network.head, None, batches, setup.recipe(), tried, watch.should_stop, note)
    else:
        places = Places.of(setup.workspace)
        most = max(1, MOST_PIXELS // setup.spec.size**2)
        some, few = setup.images("train", most), setup.images("val", 1)
        material = image_material(some, few, setup.config, len(setup.classes), setup.device, places, watch)
        watch.enter("training", "Trying learning rates.")
        groups = parameter_groups(network, setup.config.model)
        losses = range_test(network, groups, material.train, setup.recipe(), tried, watch.should_stop, note)
    reading = read(tried[: len(losses)], losses)
    return asdict(LrCurve(reading.rates, reading.losses, reading.suggestion, reading.diverges_at, reading.note))


def range_test(
    model: nn.Module,
    groups: Sequence[ParameterGroup] | None,
    train: Batches,
    recipe: Recipe,
    tried: Sequence[float],
    should_stop: Callable[[], bool],
    on_step: Callable[[int], None] = lambda done: None,
) -> list[float]:
    """The mean loss of each step, one step a rate; ends early where the loss has blown up. `model` is changed by it.

    Args:
        groups: what learns is what learns in the first epoch; None: everything.

    Raises:
        Stopped: asked to.
    """
    optim = recipe.optim.model_copy(update={"learning_rate": 1.0})  # the factor of each step is its rate
    numerics = choose_numerics(recipe.runtime, recipe.device, len(tried), model)
    numerics.place(model)
    model.train()
    for group in groups or []:
        for module in group.modules:
            module.train(learns(group, 0))
        for parameter in group_parameters(group):
            parameter.requires_grad_(learns(group, 0))
    optimizers = Optimizers(model, groups, optim)
    loss = build_loss(optim, recipe.class_counts, recipe.device)
    stepper = Stepper(model, optimizers, loss, None, optim, numerics, ALONE)
    steps = _endless(train, optim.accumulate)
    losses: list[float] = []
    for done, rate in enumerate(tried):
        parts = next(steps)
        sizes = [len(inputs) for inputs, _ in parts]
        optimizers.set_factor(rate)
        try:
            step = stepper.step(iter(parts), sizes, should_stop)
        except NoMemory as error:
            raise InputError(
                f"Batches of {sizes[0]} images do not fit in memory.",
                "Lower optim.batch_size; the pre-flight says what fits.",
            ) from error
        if step is None:
            raise Stopped
        losses.append(float(step.figures[0]) / sum(sizes))
        on_step(done + 1)
        if has_blown_up(losses):
            break
    return losses


def _endless(train: Batches, accumulate: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The batches of each step, epoch after epoch. The last step of an epoch may be too small to tell much."""
    epoch = 0
    while True:
        epoch += 1
        batches = list(train.sizes())
        whole = max(accumulate, len(batches) - len(batches) % accumulate)
        if len(batches) > accumulate and batches[-1] < batches[0] and whole == len(batches):
            whole -= accumulate
        parts: list[tuple[Tensor, Tensor]] = []
        for place, part in enumerate(train.epoch(epoch)):
            if place >= whole:
                break
            parts.append(part)
            if len(parts) == accumulate or place == len(batches) - 1:
                yield parts
                parts = []


def _features(setup: Setup, network: Network, watch: Watch) -> TensorBatches:
    some = setup.images("train", MOST_FEATURES)
    watch.enter("preparing", "Preparing the backbone.")
    engine, _ = fastest_engine(network.backbone, some, setup.device, setup.workspace.backbones, watch.log)
    watch.enter("features", "Computing the features of some training images.")
    is_known, features = KeptFeatures.of(setup.workspace.features, network.backbone, setup.spec, setup.device).load(
        some
    )
    if not is_known.all():
        computed = compute_features(engine, some, watch.meter(), watch.should_stop)
        if computed is None:
            raise Stopped
        features = computed
    network.head.to(setup.device)
    optim, seed = setup.config.optim, setup.config.runtime.seed
    return TensorBatches(
        torch.from_numpy(features), some.labels, optim.batch_size, setup.device, seed, sampler=optim.sampler
    )


if __name__ == "__main__":
    sys.exit(run_trial(Path(sys.argv[1]).resolve(), "The search for a learning rate", find))
