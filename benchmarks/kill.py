"""Kills a short training run at random moments and resumes it, again and again; the weights must not show it.

    python benchmarks/kill.py [--kills 25] [--seed 0] [--size 32]

One run on the built-in digits is left alone; its final weights are what others are compared with, bit by bit. Others
get SIGKILL at moments drawn uniformly from the time a whole run takes, counted from the start of the process, and are
resumed each time; a run that ends before its moment comes makes room for the next. After each kill every file in the
run's folder is read. One JSON line a kill, then a summary.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

PATIENCE_S = 600


def main() -> None:
    """Print the measurements; exit status 1 where a file was unreadable or weights differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=32, help="side of the images; more makes the run longer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["DARKROOM_HOME"] = home
        sys.exit(_measure(options.kills, options.seed, options.size))


def _measure(num_kills: int, seed: int, size: int) -> int:
    from core.runs.launch import resume_run

    began = time.monotonic()
    reference = _await(_start(size))
    whole_s = time.monotonic() - began
    expected = digest(reference.bundle / "model.safetensors")
    _print(measurement="uninterrupted", seconds=round(whole_s, 1), weights=expected)
    moments, kills, finished, different, unreadable = random.Random(seed), 0, 0, 0, 0
    run = _start(size)
    while kills < num_kills:
        until = time.monotonic() + moments.uniform(0, whole_s)
        while time.monotonic() < until and not run.status.ended:
            time.sleep(0.01)
        if run.status.state in ("finished", "failed"):
            finished, different = finished + 1, different + _differs(run, expected)
            run = _start(size)
            continue
        phase = run.status.phase
        os.kill(json.loads((run.folder / "process.json").read_text())["pid"], signal.SIGKILL)
        kills += 1
        wrong = unreadable_files(run.folder)
        unreadable += len(wrong)
        _print(measurement="kill", number=kills, phase=phase, epochs=len(run.metrics()), unreadable=wrong)
        resume_run(_await(run))
    finished, different = finished + 1, different + _differs(_await(run), expected)
    good = not different and not unreadable
    _print(
        measurement="summary",
        kills=kills,
        resumes=kills,
        runs_finished=finished,
        runs_with_other_weights=different,
        unreadable_files=unreadable,
        passed=good,
    )
    return 0 if good else 1


def _start(size: int) -> Any:
    from core.config import build_config
    from core.data.datasets import ensure_builtin
    from core.data.splits import divide
    from core.runs.launch import start_run
    from core.workspace import Workspace

    workspace = Workspace.default()
    ensure_builtin(workspace)
    values = {
        "data.dataset": "digits",
        "preprocess.image_size": size,
        "model.dropout": 0.2,
        "optim.epochs": 6,
        "optim.ema_decay": 0.9,
        "stop.patience": 0,
        "runtime.deterministic": True,
    }
    config = build_config(values, "from-scratch")
    division = divide(workspace, config)
    return start_run(workspace, config, division.manifest, division.about())


def _await(run: Any) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not run.status.ended:
        if time.monotonic() > until:
            raise TimeoutError(f"{run.folder} is still {run.status.state} after {PATIENCE_S} s")
        time.sleep(0.05)
    return run


def _differs(run: Any, expected: str) -> bool:
    if run.status.state != "finished":
        _print(measurement="not finished", state=run.status.state, message=run.status.message)
        return True
    return digest(run.bundle / "model.safetensors") != expected


def digest(file: Path) -> str:
    """What stands for the file's bytes."""
    import hashlib

    return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()


def unreadable_files(folder: Path) -> list[str]:
    """Files below the folder that cannot be read for what their name says; unfinished temporary ones do not count."""
    import onnx
    import pandas as pd
    import torch
    from safetensors.numpy import load_file

    from core.files import read_json, read_jsonl

    readers = {
        ".json": read_json,
        ".jsonl": read_jsonl,
        ".pt": lambda path: torch.load(path, weights_only=True),
        ".safetensors": load_file,
        ".parquet": pd.read_parquet,
        ".onnx": lambda path: onnx.checker.check_model(onnx.load(str(path))),
    }
    wrong = []
    for path in sorted(folder.rglob("*")):
        # A hidden folder is a bundle that is being built: nobody reads it before it is renamed.
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix in readers and not is_hidden:
            try:
                readers[path.suffix](path)
            except Exception as error:
                wrong.append(f"{path.name}: {type(error).__name__}: {error}")
    return wrong


def _print(**row: object) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
