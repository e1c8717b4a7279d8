"""Raw photos to an evaluated model, timed against the loop a tutorial reader types.

    python benchmarks/first_light.py DATA TUTORIAL [--seeds 5]

DATA is a folder of labelled photos, TUTORIAL the path of `tutorial.py`. Each training starts in an empty workspace, so
nothing is cached, and the time counts from the start of the process. First the preset transfer and the offline network,
a run a seed; then the head of resnet18 for 15 epochs, three times, against `resnet18-head` of the tutorial, one epoch
of which is run each time and 15 are extrapolated. The weights of resnet18 are random on both sides: they change no
time. One JSON line a measurement.
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
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
TUTORIAL_EPOCHS, REPEATS = 15, 3
RESNET = (
    *("--model.architecture", "resnet18", "--optim.epochs", str(TUTORIAL_EPOCHS), "--stop.patience", "0"),
    *("--model.weights", "file", "--model.weights_from"),
)


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    ours = [_train("offline network", options.data, seed) for seed in range(options.seeds)]
    _print(
        measurement="summary, offline network",
        median_wall_s=statistics.median(run["wall_s"] for run in ours),
        slowest_wall_s=max(run["wall_s"] for run in ours),
        mean_test_accuracy=statistics.mean(run["test_accuracy"] for run in ours),
        lowest_test_accuracy=min(run["test_accuracy"] for run in ours),
    )
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        weights = _random_resnet18(Path(folder))
        for repeat in range(REPEATS):
            wall_s = _train("resnet18 head, 15 epochs", options.data, repeat, *RESNET, weights)["wall_s"]
            ratios.append(TUTORIAL_EPOCHS * _tutorial_epoch(options.tutorial, options.data) / wall_s)
    _print(measurement="summary, resnet18 head", times_faster=round(statistics.median(ratios), 1), each=ratios)


def _random_resnet18(folder: Path) -> str:
    """A file of weights, as published ones would be, for machines without a network."""
    import torch
    from torchvision.models import resnet18

    file = folder / "resnet18.pt"
    torch.save(resnet18(weights=None).state_dict(), file)
    return str(file)


def _train(name: str, data: Path, seed: int, *settings: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "core", "train", "--data", str(data), "--preset", "transfer", "--json"]
        command += settings
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--runtime.seed", str(seed), "--split.seed", str(seed)],
            cwd=REPOSITORY,
            env=os.environ | {"DARKROOM_HOME": home},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        result = json.loads(done.stdout.splitlines()[-1])
    result |= {"measurement": name, "seed": seed, "wall_s": round(time.perf_counter() - began, 1)}
    kept = ("measurement", "seed", "wall_s", "seconds", "test_accuracy", "val_accuracy", "num_images")
    _print(**{name: result[name] for name in kept})
    return result


def _tutorial_epoch(tutorial: Path, data: Path) -> float:
    command = [sys.executable, str(tutorial), "resnet18-head", str(data), "--epochs", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row = json.loads(done.stdout.splitlines()[-1])
    _print(measurement="tutorial resnet18-head, one epoch", seconds=row["total_s"])
    return float(row["total_s"])


def _print(**row: object) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
