"""Training beside the loop a tutorial reader types, and beside the bare network: the same net, batch, optimiser, data.

    python benchmarks/training_speed.py TUTORIAL [--cifar DIR] [--photos DIR] [--lines 1 3 4] [--epochs 5] [--limit N]

TUTORIAL is the path of `tutorial.py`; `--cifar` a folder with train/CLASS and test/CLASS, `--photos` one with photos
named CLASS.N.jpg. Lines as numbered in the goals:

1  small nets from scratch on CIFAR-10, batches of 32, Adam: images a second while training, against the tutorial's
   faster number of loader processes and against the bare network on a batch that is already in memory
3  head-only resnet18, 15 epochs, whole processes with indexing, export and evaluation; the tutorial's 15 epochs are
   extrapolated from one (its weights are random, and so are ours, from a file: only the time counts)
4  resnet18 with every layer trained at 224 px, batches of 32; crops, flips, turns and colour jitter as strong

`--limit` takes that many training images and a fifth as many test images. One JSON line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
HEAD_EPOCHS = 15
BARE_STEPS, BARE_WARM_UP = 30, 5
SMALL = {"network12": ("cnn_5x5", 1e-4), "simplecnn32": ("cnn_2_blocks", 0.0)}
PLAIN = {
    "model.dropout": 0,
    "optim.optimizer": "adam",
    "optim.learning_rate": 1e-3,
    "optim.batch_size": 32,
    "schedule.kind": "constant",
    "schedule.warmup_fraction": 0,
    "stop.patience": 0,
    "split.keep_together": "off",
    "preprocess.interpolation": "bilinear",
}
SCRATCH = {"model.weights": "random", "model.tune": "all", "model.init": "pytorch"}
JITTER = {
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
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--lines", type=int, nargs="+", choices=(1, 3, 4), default=[1, 3, 4])
    parser.add_argument("--epochs", type=int, default=5, help="of line 1; line 4 trains one")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--bare", nargs=2, metavar=("NETWORK", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(_bare(options.bare[0], int(options.bare[1])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if options.cifar and 1 in options.lines:
            data = _part_of_folders(options.cifar, Path(scratch) / "small", options.limit)
            for recipe in SMALL:
                _small(options.tutorial, data, recipe, options.epochs)
        photos = _part_of_flat(options.photos, Path(scratch) / "photos", options.limit) if options.photos else None
        if photos and 3 in options.lines:
            _head(options.tutorial, photos, Path(scratch))
        if photos and 4 in options.lines:
            _full(options.tutorial, photos)


def _small(tutorial: Path, data: Path, recipe: str, epochs: int) -> None:
    tried = [_tutorial(tutorial, data, recipe, 1, workers) for workers in (0, 2)]
    faster = _tutorial(tutorial, data, recipe, epochs, max(tried, key=lambda rows: rows["images_per_s"])["workers"])
    network, decay = SMALL[recipe]
    flags = PLAIN | SCRATCH | {"model.architecture": network, "preprocess.image_size": 32, "split.val_fraction": 0.02}
    before = _bare_rate(network, 32)
    ours = _darkroom(data, flags | {"optim.epochs": epochs, "optim.weight_decay": decay})
    bare = (before + _bare_rate(network, 32)) / 2
    _print(
        line=1,
        recipe=recipe,
        **_rates(ours, faster, bare),
        test_accuracy=ours["test_accuracy"],
        tutorial_test_accuracy=faster["accuracy"],
    )


def _head(tutorial: Path, photos: Path, scratch: Path) -> None:
    weights = scratch / "resnet18.safetensors"
    code = (
        "import sys, torch; from torchvision.models import resnet18; from safetensors.torch import save_file; "
        "torch.manual_seed(0); save_file(resnet18().state_dict(), sys.argv[1])"
    )
    _child([sys.executable, "-c", code, str(weights)])
    flags = PLAIN | {
        "model.architecture": "resnet18",
        "model.weights": "file",
        "model.weights_from": str(weights),
        "optim.epochs": HEAD_EPOCHS,
    }
    ours = _darkroom(photos, flags)
    theirs = _tutorial(tutorial, photos, "resnet18-head", 1, 2)
    seconds = theirs["total_s"] * HEAD_EPOCHS
    _print(
        line=3,
        recipe="resnet18-head",
        wall_s=ours["wall_s"],
        tutorial_epoch_s=theirs["total_s"],
        tutorial_wall_s=round(seconds, 1),
        times_faster=round(seconds / ours["wall_s"], 1),
        phases=ours["phases"],
    )


def _full(tutorial: Path, photos: Path) -> None:
    theirs = [_tutorial(tutorial, photos, "resnet18", 1, workers) for workers in (0, 2)]
    faster = max(theirs, key=lambda rows: rows["images_per_s"])
    flags = PLAIN | SCRATCH | JITTER | {"model.architecture": "resnet18", "optim.epochs": 1, "optim.weight_decay": 0}
    before = _bare_rate("resnet18", 224)
    ours = _darkroom(photos, flags)
    bare = (before + _bare_rate("resnet18", 224)) / 2
    _print(
        line=4,
        recipe="resnet18",
        **_rates(ours, faster, bare),
    )


def _rates(ours: dict[str, Any], tutorial: dict[str, Any], bare: float) -> dict[str, Any]:
    """Training images a second of both and of the network alone, with the ratios."""
    return {
        "images_per_s": ours["images_per_s"],
        "tutorial_images_per_s": tutorial["images_per_s"],
        "tutorial_workers": tutorial["workers"],
        "bare_images_per_s": round(bare, 1),
        "times_the_tutorial": round(ours["images_per_s"] / tutorial["images_per_s"], 2),
        "share_of_bare": round(ours["images_per_s"] / bare, 3),
    }


def _tutorial(tutorial: Path, data: Path, recipe: str, epochs: int, workers: int) -> dict[str, Any]:
    command = [sys.executable, str(tutorial), recipe, str(data), "--epochs", str(epochs), "--workers", str(workers)]
    rows = [json.loads(line) for line in _child(command).splitlines()]
    found = {
        "images_per_s": statistics.median(row["train_images_per_s"] for row in rows),
        "total_s": rows[-1]["total_s"],
        "accuracy": rows[-1]["accuracy"],
        "workers": workers,
    }
    _print(measurement=f"tutorial {recipe}", epochs=epochs, **found)
    return found


def _darkroom(data: Path, flags: dict[str, Any]) -> dict[str, Any]:
    """One run by the command line in an empty workspace, timed from the start of the process."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "core", "train", "--data", str(data), "--preset", "transfer", "--json"]
        command += [part for path, value in flags.items() for part in (f"--{path}", str(value))]
        began = time.perf_counter()
        result = json.loads(_child(command, os.environ | {"DARKROOM_HOME": home}).splitlines()[-1])
        wall_s = time.perf_counter() - began
        run = Path(home) / "runs" / result["run"]
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        found = {
            "images_per_s": round(statistics.median(row["images_per_s"] for row in rows), 1),
            "wall_s": round(wall_s, 1),
            "test_accuracy": result["test_accuracy"],
            "phases": json.loads((run / "times.json").read_text()),
        }
    _print(measurement=f"darkroom {flags['model.architecture']}", **found)
    return found


def _bare_rate(network: str, size: int) -> float:
    """`_bare` in a process of its own; asked before and after a run, as the machine's speed moves meanwhile."""
    return float(_child([sys.executable, __file__, ".", "--bare", network, str(size)]))


def _bare(network: str, size: int, batch_size: int = 32) -> float:
    """Images a second of forward, backward and step on one batch in memory, in the layout and with the optimiser that
    a run uses."""
    sys.path.insert(0, str(REPOSITORY))
    import torch
    from torch.nn import functional as F

    from core.config import ModelConfig
    from core.training.models import build_network

    torch.manual_seed(0)
    config = ModelConfig(architecture=network, weights="random", tune="all", dropout=0)
    model = build_network(config, 10, size).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    inputs = torch.randn(batch_size, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels, seconds = torch.randint(0, 10, (batch_size,)), []
    for _ in range(BARE_WARM_UP + BARE_STEPS if size > 64 else 20 * (BARE_WARM_UP + BARE_STEPS)):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - began)
    kept = seconds[BARE_WARM_UP:]
    return batch_size * len(kept) / sum(kept)


def _part_of_folders(source: Path, target: Path, limit: int | None) -> Path:
    if limit is None:
        return source
    for split, count in (("train", limit), ("test", max(1, limit // 5))):
        for label in sorted(folder for folder in (source / split).iterdir() if folder.is_dir()):
            classes = sum(folder.is_dir() for folder in (source / split).iterdir())
            (target / split / label.name).mkdir(parents=True)
            for file in sorted(label.iterdir())[: max(1, count // classes)]:
                os.link(file.resolve(), target / split / label.name / file.name)
    return target


def _part_of_flat(source: Path, target: Path, limit: int | None) -> Path:
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
