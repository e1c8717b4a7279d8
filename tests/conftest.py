"""What tests share: a workspace of their own, and folders of real little images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.running import SMALL_FLAGS, darkroom

# For every process a test starts. Two workers of two threads each that wait for each other take three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

COUNTS = {"cat": 8, "dog": 8}
ImageFolder = Callable[..., Path]


class _Rooms(LoadScopeScheduling):
    """One process runs a file as a whole, and all browser tests, which share a server and a run."""

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Which process runs which tests."""
    return _Rooms(config, log)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace, also for every process the test starts."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    return Workspace(tmp_path / "home")


@pytest.fixture
def image_folder(tmp_path: Path) -> ImageFolder:
    """Makes folders of images that a small network can tell apart: each class has its colour, each image its noise.

    Call as `image_folder(name="photos", counts={"cat": 8, "dog": 8}, layout="class folders", size=(24, 18),
    suffix=".png", seed=0)`; layout is "class folders", "flat names" or "split folders" (half train, a quarter each val
    and test). Gives the folder's path.
    """

    def make(
        name: str = "photos",
        counts: Mapping[str, int] = COUNTS,
        layout: str = "class folders",
        size: tuple[int, int] = (24, 18),
        suffix: str = ".png",
        seed: int = 0,
    ) -> Path:
        return write_images(tmp_path / name, counts, layout, size, suffix, seed)

    return make


def write_images(
    root: Path, counts: Mapping[str, int], layout: str, size: tuple[int, int], suffix: str, seed: int
) -> Path:
    """See `image_folder`."""
    root.mkdir(parents=True)
    colours = np.random.default_rng([seed, 1]).permutation(256)
    for place, (label, count) in enumerate(counts.items()):
        colour = np.array([colours[3 * place % 254], colours[place], 255 - colours[place]])
        for number in range(count):
            path = root / _name(layout, label, number, count, suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng([seed, 2, place, number]).integers(-40, 40, (size[1], size[0], 3))
            Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(path)
    return root


def _name(layout: str, label: str, number: int, count: int, suffix: str) -> str:
    if layout == "flat names":
        return f"{label}.{number}{suffix}"
    if layout == "class folders":
        return f"{label}/{number:04d}{suffix}"
    split = "train" if number < count // 2 else "val" if number < count - count // 4 else "test"
    return f"{split}/{label}/{number:04d}{suffix}"


@dataclass(frozen=True)
class Trained:
    """A finished run, the workspace it is in and the images it was trained on. Shared: read it, do not change it."""

    workspace: Workspace
    run: Run
    images: Path
    result: dict[str, Any]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small network trained by the real command line in a real worker, on three classes of real little files."""
    home = tmp_path_factory.mktemp("trained")
    images = write_images(home / "photos", {"cat": 30, "dog": 30, "fox": 30}, "class folders", (24, 18), ".png", 0)
    done = darkroom("train", "--data", images, *SMALL_FLAGS, home=home / "home")
    assert done.status == 0, done.errors
    workspace = Workspace(home / "home")
    return Trained(workspace, open_run(workspace, done.result["run"]), images, done.result)
