"""Every layer of resnet18 trained at 224 px, beside the loop a tutorial reader types and beside the bare network.

    python benchmarks/training_speed.py PHOTOS TUTORIAL [--limit N]

PHOTOS is a folder with photos named CLASS.N.jpg, TUTORIAL the path of `tutorial.py`. The same net, batches of 32, Adam;
crops, flips, turns and colour jitter as strong. Images a second while training, against the tutorial's faster number of
loader processes and against the bare network on a batch that is already in memory. `--limit` takes that many training
images and a fifth as many for the rest. One JSON line a measurement. Small images are `small_images.py`, heads
`first_light.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
BARE_STEPS, BARE_WARM_UP = 30, 5
BATCH, SIZE = 32, 224
NETWORK = "resnet18"
FLAGS = {
    "model.architecture": NETWORK,
    "model.weights": "random",
    "model.tune": "all",
    "model.dropout": 0,
    "optim.optimizer": "adam",
    "optim.learning_rate": 1e-3,
    "optim.batch_size": BATCH,
    "optim.epochs": 1,
    "optim.weight_decay": 0,
    "schedule.kind": "constant",
    "schedule.warmup_fraction": 0,
    "stop.patience": 0,
    "split.keep_together": "off",
    "preprocess.interpolation": "bilinear",
    "augment.crop_scale": 0.08,
    "augment.horizontal_flip": True,
    "augment.rotate_degrees": 10,
    "augment.brightness": 0.2,
    "augment.contrast": 0.2,
    "augment.saturation": 0.2,
    "augment.hue": 0.1,
}


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(_bare())
        return
    with tempfile.TemporaryDirectory() as scratch:
        photos = _part_of(options.photos, Path(scratch) / "photos", options.limit)
        theirs = [_tutorial(options.tutorial, photos, workers) for workers in (0, 2)]
        tutorial = max(theirs, key=lambda found: found["images_per_s"])
        before = _bare_in_a_process()
        ours = _darkroom(photos)
        bare = (before + _bare_in_a_process()) / 2
        _print(
            measurement=NETWORK,
            images_per_s=ours,
            tutorial_images_per_s=tutorial["images_per_s"],
            tutorial_workers=tutorial["workers"],
            bare_images_per_s=round(bare, 1),
            times_the_tutorial=round(ours / tutorial["images_per_s"], 2),
            share_of_bare=round(ours / bare, 3),
        )


def _tutorial(tutorial: Path, photos: Path, workers: int) -> dict[str, Any]:
    row = json.loads(
        _child([sys.executable, str(tutorial), NETWORK, str(photos), "--epochs", "1", "--workers", str(workers)])
    )
    found = {"images_per_s": row["train_images_per_s"], "workers": workers}
    _print(measurement=f"tutorial {NETWORK}", **found)
    return found


def _darkroom(photos: Path) -> float:
    """Images a second of one run by the command line in an empty workspace."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "core", "train", "--data", str(photos), "--preset", "transfer", "--json"]
        command += [part for path, value in FLAGS.items() for part in (f"--{path}", str(value))]
        result = json.loads(_child(command, os.environ | {"DARKROOM_HOME": home}).splitlines()[-1])
        run = Path(home) / "runs" / result["run"]
        row = json.loads((run / "metrics.jsonl").read_text())
        _print(
            measurement=f"darkroom {NETWORK}",
            images_per_s=row["images_per_s"],
            phases=json.loads((run / "times.json").read_text()),
        )
    return float(row["images_per_s"])


def _bare_in_a_process() -> float:
    """Asked before and after a run, as the machine's speed moves meanwhile."""
    return float(_child([sys.executable, __file__, ".", ".", "--bare"]))


def _bare() -> float:
    """Images a second of forward, backward and step on one batch in memory, in the layout and with the optimiser that
    a run uses."""
    sys.path.insert(0, str(REPOSITORY))
    import torch
    from torch.nn import functional as F

    from core.config import ModelConfig
    from core.training.models import build_network

    torch.manual_seed(0)
    config = ModelConfig(architecture=NETWORK, weights="random", tune="all", dropout=0)
    model = build_network(config, 2, SIZE).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    labels, seconds = torch.randint(0, 2, (BATCH,)), []
    for _ in range(BARE_WARM_UP + BARE_STEPS):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - began)
    kept = seconds[BARE_WARM_UP:]
    return BATCH * len(kept) / sum(kept)


def _part_of(source: Path, target: Path, limit: int | None) -> Path:
    if limit is None:
        return source
    target.mkdir(parents=True)
    files = sorted(source.glob("*.jpg"))
    random.Random(0).shuffle(files)
    for file in files[: limit + limit // 5]:
        os.link(file.resolve(), target / file.name)
    return target


def _child(command: list[str], env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _print(**row: object) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
