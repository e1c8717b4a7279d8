"""How close the training loop comes to the limit: bare forward, backward and step on tensors that are in memory.

    python benchmarks/limit.py [--nets NET ...] [--rounds 3] [--batch 32] [--share 1.0] [--busy]

Each round times, one after the other, with the same network, batch, Adam and loss:

    bare      the loop of any tutorial: torch's defaults, images in their usual order in memory
    arranged  the same with what the engine chooses by "auto" here: order of images in memory, fused optimizer
    engine    `core.training.loop.engine.fit` on `TensorBatches`: shuffled batches, totals, checks, callbacks

Rounds are interleaved, so that other load on the machine falls on all three. One JSON line a round, then one a network
with the medians and the engine's share of both limits, each from one round. With --busy one thread's processor time
counts instead of the clock: on a machine that is shared, figures are lower, but their ratios can be trusted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional as F

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.config import ModelConfig, OptimConfig, RuntimeConfig, ScheduleConfig, StopConfig  # noqa: E402
from core.training.batching.batches import TensorBatches  # noqa: E402
from core.training.loop.engine import Callbacks, Recipe, fit  # noqa: E402
from core.training.loop.numerics import choose_numerics  # noqa: E402
from core.training.models import build_network  # noqa: E402

CPU, NUM_CLASSES = torch.device("cpu"), 10
NETS = {"cnn_2_blocks": (32, 2048), "cnn_5x5": (32, 2048), "fast_cnn": (32, 2048), "resnet18": (224, 96)}
Clock = Callable[[], float]
OPTIM = {"epochs": 1, "optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0.0}


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the images a round takes; less is quicker, noisier"
    )
    parser.add_argument("--busy", action="store_true", help="one thread, processor time")
    options = parser.parse_args()
    if options.busy:
        torch.set_num_threads(1)
    clock = time.process_time if options.busy else time.perf_counter
    for name in options.nets:
        size, count = NETS[name]
        _measure(name, size, max(3, round(count * options.share / options.batch)), options.batch, options.rounds, clock)


def _measure(name: str, size: int, num_batches: int, batch_size: int, rounds: int, clock: Clock) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(num_batches * batch_size, 3, size, size, generator=generator)
    labels = torch.randint(0, NUM_CLASSES, (len(images),), generator=generator)
    ways: dict[str, Callable[[], float]] = {
        "bare": _bare(_network(name, size), images, labels, batch_size, clock, arranged=False),
        "arranged": _bare(_network(name, size), images, labels, batch_size, clock, arranged=True),
        "engine": _engine(_network(name, size), images, labels, batch_size, clock),
    }
    for way in ways.values():
        way()  # memory is asked for, kernels are chosen
    found: list[dict[str, float]] = []
    for number in range(rounds):
        found.append({way: run() for way, run in ways.items()})
        speeds = {f"{way}_images_per_s": round(value, 1) for way, value in found[-1].items()}
        _print(net=name, round=number + 1, load=psutil.getloadavg()[0], **speeds)
    medians = {f"{way}_images_per_s": round(statistics.median(row[way] for row in found), 1) for way in ways}
    shares = {
        f"engine_of_{way}": round(statistics.median(row["engine"] / row[way] for row in found), 3)
        for way in ("bare", "arranged")
    }
    _print(net=name, size=size, batch=batch_size, rounds=rounds, threads=torch.get_num_threads(), **medians, **shares)


def _network(name: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    model = ModelConfig.model_validate({"architecture": name, "weights": "random", "tune": "all", "dropout": 0.0})
    return build_network(model, NUM_CLASSES, size)


def _bare(
    model: nn.Module, images: Tensor, labels: Tensor, batch_size: int, clock: Clock, arranged: bool
) -> Callable[[], float]:
    """Images a second of the plainest loop, from the end of its first step on."""
    if arranged:
        numerics = choose_numerics(RuntimeConfig(), CPU, 1, model)
        numerics.place(model)
        images, model = numerics.arranged(images), numerics.network(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=arranged)
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))

    def run() -> float:
        model.train()
        ends = []
        for inputs, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            ends.append(clock())
        return _speed(ends, batch_size)

    return run


def _engine(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int, clock: Clock) -> Callable[[], float]:
    """The same of one epoch's training; validation is not counted."""
    optim = OptimConfig.model_validate(OPTIM | {"batch_size": batch_size})
    recipe = Recipe(optim, ScheduleConfig(kind="constant"), StopConfig(), RuntimeConfig(), NUM_CLASSES)
    train = TensorBatches(images, labels, batch_size, CPU, shuffle_seed=0)
    val = TensorBatches(images[:2], labels[:2], 2, CPU)

    def run() -> float:
        ends: list[float] = []
        callbacks = Callbacks(lambda *_: ends.append(clock()), lambda row, state: None, lambda: False)
        fit(model, None, train, val, recipe, callbacks)
        return _speed(ends, batch_size)

    return run


def _speed(ends: list[float], batch_size: int) -> float:
    return (len(ends) - 1) * batch_size / (ends[-1] - ends[0])


def _print(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
