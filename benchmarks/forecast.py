"""How near the pre-flight's forecast comes to the time a run really takes.

    python benchmarks/forecast.py PHOTOS [--cifar CIFAR] [--repeat 1]

PHOTOS is a folder of labelled photos, CIFAR one of small images. Each configuration is forecast, then run to its end
without early stopping, in a workspace that has seen neither; both times count from the start of the process. One JSON
line a configuration with the forecast and the finished run phase by phase, then a summary. Use a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
WITHIN = 0.25
CONFIGURATIONS: dict[str, tuple[str, list[str]]] = {
    "digits from scratch": ("digits", ["--preset", "from-scratch", "--optim.epochs", "8"]),
    "photos, head on features": ("PHOTOS", ["--preset", "transfer"]),
    "photos, every layer of resnet18 at 128 px": (
        "PHOTOS",
        [
            *("--preset", "transfer", "--model.architecture", "resnet18", "--model.weights", "random"),
            *("--model.tune", "all", "--preprocess.image_size", "128", "--optim.epochs", "2"),
            *("--augment.horizontal_flip", "true"),
        ],
    ),
    "small images, fast_cnn": (
        "CIFAR",
        [
            *("--preset", "from-scratch", "--model.architecture", "fast_cnn", "--optim.batch_size", "256"),
            *("--optim.epochs", "3"),
        ],
    ),
}


def main() -> None:
    """Print the measurements; exit status 1 where a forecast is further off than `WITHIN`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--only", help="configurations whose name holds this")
    options = parser.parse_args()
    data = {"digits": "digits", "PHOTOS": str(options.photos), "CIFAR": str(options.cifar or "")}
    gaps = []
    for name, (images, flags) in CONFIGURATIONS.items():
        if data[images] and (not options.only or options.only in name):
            gaps += [_compare(name, data[images], flags) for _ in range(options.repeat)]
    worst = max(map(abs, gaps))
    _print(measurement="summary", configurations=len(gaps), worst_gap=worst, passed=worst <= WITHIN)
    sys.exit(0 if worst <= WITHIN else 1)


def _compare(name: str, data: str, flags: list[str]) -> float:
    """The forecast less the truth, as a share of the truth."""
    with tempfile.TemporaryDirectory() as home:
        forecast = _core(home, "preflight", "--data", data, *flags, "--stop.patience", "0")
        run = _core(home, "train", "--data", data, *flags, "--stop.patience", "0")
        phases = json.loads((Path(run["folder"]) / "times.json").read_text())
        seconds = sum(phases.values())
    gap = round(forecast["seconds"] / seconds - 1, 3)
    _print(
        measurement=name,
        forecast_s=round(forecast["seconds"], 1),
        finished_s=round(seconds, 1),
        gap=gap,
        phases={
            phase: [round(forecast["phases"].get(phase, 0.0), 1), round(phases.get(phase, 0.0), 1)]
            for phase in {**forecast["phases"], **phases}
        },
        images_per_s=round(forecast["images_per_s"], 1),
        bound=forecast["bound"],
    )
    return gap


def _core(home: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "core", *arguments, "--json"],
        cwd=REPOSITORY,
        env=os.environ | {"DARKROOM_HOME": home},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _print(**row: object) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
