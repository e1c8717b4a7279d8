"""Small images from nothing, against the loop a tutorial reader types, on the same images in the same run.

    python benchmarks/small_images.py speed DATA TUTORIAL [--rounds 3]
    python benchmarks/small_images.py accuracy DATA TUTORIAL [--preset small-photos]

DATA is CIFAR-10 as folders (train/CLASS, test/CLASS), TUTORIAL the path of `tutorial.py`. One JSON line a measurement.

speed: the tutorial's two nets with its batch, optimiser and data, in turns with ours: training images a second, the
share of what the bare network does with tensors already in memory, and test accuracy after five epochs: ours with as
many seeds as there are rounds (a seed moves it by half a point), the tutorial's with its own.
accuracy: the tutorial's simplecnn32 until its best, then our preset: the curve of validation accuracy against minutes
since the start of the process, when it passed the tutorial's best and 82 %, and the final test accuracy. The images are
indexed beforehand; how long that took is said.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

BATCH, EPOCHS = 32, 5
NETS = {"network12": ("cnn_5x5", 1e-4), "simplecnn32": ("cnn_2_blocks", 0.0)}  # our name, weight decay
GOAL = 0.82
POLL_S = 0.1


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "accuracy", "bare"])
    parser.add_argument("data", type=Path)
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--net", choices=NETS, help="speed of one net only")
    parser.add_argument("--preset", default="small-photos")
    parser.add_argument("--tutorial-epochs", type=int, default=8)
    options = parser.parse_args()
    if options.part == "bare":
        print(_bare_images_per_s(*NETS[options.net]))
        return
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        _core(home, "index", str(options.data))
        _print(measurement="indexing", seconds=round(time.perf_counter() - began, 1))
        if options.part == "speed":
            for recipe in [options.net] if options.net else NETS:
                _speed(options, home, recipe)
        else:
            _accuracy(options, home)


def _speed(options: argparse.Namespace, home: str, recipe: str) -> None:
    """In turns, so that whatever else the machine does falls on all alike."""
    ours: list[float] = []
    bare: list[float] = []
    theirs: dict[int, list[float]] = {0: [], 2: []}
    for _ in range(options.rounds):
        for workers, found in theirs.items():
            found += [row["train_images_per_s"] for row in _tutorial(options, recipe, 1, workers)]
        bare.append(_bare_in_a_process(options, recipe))
        run, _ = _train(home, options.data, _same_as_tutorial(recipe, epochs=1))
        ours.append(run["images_per_s"])
    medians = {workers: statistics.median(found) for workers, found in theirs.items()}
    accuracy = list(_tutorial(options, recipe, EPOCHS, max(medians, key=lambda workers: medians[workers])))[-1]
    flags = _same_as_tutorial(recipe, EPOCHS)
    runs = [_train(home, options.data, [*flags, "--runtime.seed", str(seed)])[0] for seed in range(options.rounds)]
    _print(
        measurement=f"speed {recipe}",
        images_per_s=ours,
        tutorial_images_per_s=theirs,
        bare_images_per_s=bare,
        times_the_tutorial=round(statistics.median(ours) / max(medians.values()), 2),
        share_of_bare=round(statistics.median(ours) / statistics.median(bare), 3),
        test_accuracy=[run["test_accuracy"] for run in runs],
        tutorial_test_accuracy=accuracy["accuracy"],
    )


def _accuracy(options: argparse.Namespace, home: str) -> None:
    rows = list(_tutorial(options, "simplecnn32", options.tutorial_epochs, 2))
    best = max(rows, key=lambda row: row["accuracy"])
    _print(
        measurement="tutorial simplecnn32", best_accuracy=best["accuracy"], epoch=best["epoch"], best_s=best["total_s"]
    )
    run, curve = _train(home, options.data, ["--preset", options.preset])

    def passed(goal: float) -> float | None:
        return next((row["wall_s"] for row in curve if row["val_accuracy"] >= goal), None)

    like_tutorial = passed(best["accuracy"])
    _print(
        measurement=f"accuracy {options.preset}",
        curve=[(round(row["wall_s"] / 60, 2), round(row["val_accuracy"], 4)) for row in curve],
        images_per_s=run["images_per_s"],
        tutorials_best_after_s=like_tutorial,
        share_of_tutorials_time=round(like_tutorial / best["total_s"], 3) if like_tutorial else None,
        goal_after_s=passed(GOAL),
        test_accuracy=run["test_accuracy"],
        wall_s=run["wall_s"],
    )


def _same_as_tutorial(recipe: str, epochs: int) -> list[str]:
    """Flags for the net, batch, optimiser and images of the tutorial; a fiftieth of those is kept for validation."""
    name, decay = NETS[recipe]
    values = {
        "preprocess.image_size": 32,
        "preprocess.interpolation": "bilinear",
        "split.val_fraction": 0.02,
        "model.architecture": name,
        "model.weights": "random",
        "model.tune": "all",
        "model.init": "pytorch",
        "model.dropout": 0.0,
        "optim.optimizer": "adam",
        "optim.learning_rate": 1e-3,
        "optim.weight_decay": decay,
        "optim.batch_size": BATCH,
        "optim.epochs": epochs,
        "schedule.kind": "constant",
        "schedule.warmup_fraction": 0.0,
        "stop.monitor": "val_accuracy",  # the tutorial keeps its last epoch; the loss is lowest two or three before
        "stop.patience": 0,
    }
    return [part for path, value in values.items() for part in (f"--{path}", str(value))]


def _train(home: str, data: Path, flags: list[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The result of a training process, and its epochs, each with `wall_s`, seconds since the process started."""
    began, curve = time.perf_counter(), list[dict[str, Any]]()
    known = set(Path(home, "runs").glob("*"))
    process = _start(home, "train", "--data", str(data), *flags)
    while process.poll() is None:
        time.sleep(POLL_S)
        for folder in set(Path(home, "runs").glob("*")) - known:
            lines = _lines(folder / "metrics.jsonl")
            now = round(time.perf_counter() - began, 1)
            curve += [json.loads(line) | {"wall_s": now} for line in lines[len(curve) :]]
    assert process.stdout is not None and process.returncode == 0
    result = json.loads(process.stdout.read().splitlines()[-1])
    speeds = [row["images_per_s"] for row in curve]
    return result | {
        "wall_s": round(time.perf_counter() - began, 1),
        "images_per_s": round(statistics.median(speeds), 1),
    }, curve


def _lines(path: Path) -> list[str]:
    text = path.read_text() if path.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def _core(home: str, *arguments: str) -> None:
    assert _start(home, *arguments).wait() == 0


def _start(home: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "core", *arguments, "--json"],
        cwd=REPOSITORY,
        env=os.environ | {"DARKROOM_HOME": home},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _tutorial(options: argparse.Namespace, recipe: str, epochs: int, workers: int) -> Iterator[dict[str, Any]]:
    settings = ["--epochs", str(epochs), "--batch", str(BATCH), "--workers", str(workers)]
    command = [sys.executable, str(options.tutorial), recipe, str(options.data), *settings]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        yield json.loads(line)


def _bare_in_a_process(options: argparse.Namespace, recipe: str) -> float:
    command = [sys.executable, __file__, "bare", str(options.data), str(options.tutorial), "--net", recipe]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _bare_images_per_s(name: str, decay: float, num_steps: int = 400) -> float:
    """Forward, backward and optimiser step on tensors in memory, in the order of memory in which torch is faster."""
    import torch
    from torch.nn import functional as F

    from core.config import ModelConfig
    from core.training.models import build_network

    model = ModelConfig(architecture=name, weights="random", tune="all", dropout=0.0)
    labels = torch.randint(0, 10, (BATCH,))
    found = []
    for order in (torch.channels_last, torch.contiguous_format):
        network = build_network(model, 10, 32).to(memory_format=order)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=decay, fused=True)
        images = torch.rand(BATCH, 3, 32, 32).to(memory_format=order)
        for step in range(num_steps + num_steps // 10):
            if step == num_steps // 10:
                began = time.perf_counter()
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        found.append(num_steps * BATCH / (time.perf_counter() - began))
    return round(max(found), 1)


def _print(**row: object) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
