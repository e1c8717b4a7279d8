"""Raw photos to an evaluated model, timed against the loop a tutorial reader types.

    python benchmarks/first_light.py DATA TUTORIAL [--seeds 3]

DATA is a folder of labelled photos, TUTORIAL the path of `tutorial.py`. Each training starts in an empty workspace, so
nothing is cached, and the time counts from the start of the process. One JSON line a measurement; the tutorial runs one
epoch of `resnet18-head`, and 15 are extrapolated from it.
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
TUTORIAL_EPOCHS = 15


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    ours = [_train(options.data, seed) for seed in range(options.seeds)]
    epoch_s = _tutorial_epoch(options.tutorial, options.data)
    seconds = statistics.median(run["wall_s"] for run in ours)
    _print(
        measurement="summary",
        median_wall_s=seconds,
        median_test_accuracy=statistics.median(run["test_accuracy"] for run in ours),
        lowest_test_accuracy=min(run["test_accuracy"] for run in ours),
        tutorial_epoch_s=epoch_s,
        times_faster_than_15_tutorial_epochs=round(TUTORIAL_EPOCHS * epoch_s / seconds, 1),
    )


def _train(data: Path, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "core", "train", "--data", str(data), "--preset", "transfer", "--json"]
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
    result |= {"measurement": "darkroom transfer", "seed": seed, "wall_s": round(time.perf_counter() - began, 1)}
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
