"""What it takes to repeat a run: the command line that does, and the software and machine it was started with."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import psutil

from core.config import PRESETS, TrainConfig, build_config, flatten
from core.runs.devices import Device, training_device
from core.workspace import REPOSITORY

if TYPE_CHECKING:
    from core.runs.store import Run

ENVIRONMENT = "environment.json"
_DATASET = "data.dataset"
_PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "pandas", "scikit-learn", "onnx", "onnxruntime")
_GIT_S = 10.0  # a repository on a slow disk


def nearest_preset(config: TrainConfig) -> tuple[str, dict[str, Any]]:
    """The preset with the fewest settings to change, and those settings: `{"group.field": value}`."""
    wanted = {path: value for path, value in flatten(config).items() if path != _DATASET}
    candidates = []
    for preset in PRESETS:
        start = flatten(build_config({}, preset))
        candidates.append((preset, {path: value for path, value in wanted.items() if value != start[path]}))
    return min(candidates, key=lambda candidate: len(candidate[1]))


def command_line(run: Run) -> str:
    """The command that repeats the run on the same dataset; only settings that differ from a preset are in it.

    Raises:
        InputError: the run's settings are not valid any more.
    """
    config = run.config
    preset, changed = nearest_preset(config)
    words = ["python", "-m", "core", "train", "--data", config.data.dataset, "--preset", preset]
    for path, value in changed.items():
        text = str(value)
        # A value that looks like a flag has to stand in one word with its own.
        words += [f"--{path}={text}"] if text.startswith("-") else [f"--{path}", text]
    return shlex.join(words)


def environment(config: TrainConfig) -> dict[str, Any]:
    """What the run is about to be trained with, found without importing any of it.

    Returns:
        darkroom: the commit, or None where Darkroom is not in a git repository of its own; modified: whether files
        were changed since, None where not known; python, platform; packages: versions by name, None for one that is
        not installed; device: `core.runs.devices.Device` of what it will train on.
    """
    commit, modified = _commit()
    device = training_device()
    if config.runtime.device == "cpu":
        device = Device("cpu", "CPU", psutil.virtual_memory().total, device.num_cores)
    return {
        "darkroom": commit,
        "modified": modified,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "device": asdict(device),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    """The commit that Darkroom's own files are of, and whether they were changed since."""
    try:
        top, commit = _git("rev-parse", "--show-toplevel", "HEAD").splitlines()
        if top != str(REPOSITORY):  # Darkroom was copied into somebody else's repository
            return None, None
        return commit, bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None, None


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(REPOSITORY), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_GIT_S, stdin=subprocess.DEVNULL)
    return done.stdout.strip()
