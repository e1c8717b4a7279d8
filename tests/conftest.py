"""What tests share: a workspace of their own, and folders of real little images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from core import jobs
from core.files import read_json, write_json
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.running import SMALL_FLAGS, darkroom, launch_forked

# For every process a test starts. Two workers of two threads each that wait for each other take three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

COUNTS = {"cat": 8, "dog": 8}
ImageFolder = Callable[..., Path]


# What takes minutes comes first, or one process would be at it long after the others are done.
LONG = (
    "tests/browser/test_training.py",
    "tests/browser/",
    "tests/runs/",
    "tests/sweeps/",
    "tests/training/test_embed.py",
    "tests/data/test_verbs.py",
    "tests/pages/",
)


class _Rooms(LoadScopeScheduling):
    """One process runs a file as a whole, but for one whose long tests share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file == "tests/runs/test_runs.py" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Which process runs which tests."""
    return _Rooms(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first; see `LONG`."""

    def place(item: pytest.Item) -> int:
        return next((number for number, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))

    items.sort(key=place)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace, also for every process the test starts."""
    monkeypatch.setenv("DARKROOM_HOME", str(tmp_path / "home"))
    return Workspace(tmp_path / "home")


@pytest.fixture
def forked_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that this process launches are forked from one that has torch loaded, which a new Python does for seconds.

    For tests of what a job does; those of how it is started do without.
    """
    monkeypatch.setattr(jobs, "launch", launch_forked)


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


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first process to need it fills by `make(folder)`, and others wait for; to be read only."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what one that failed has left
            folder.mkdir()
            make(folder)
            (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A small network trained by the real command line in a real worker, on three classes of real little files."""
    made = made_once(tmp_path_factory, "trained", _train)
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "home")
    shutil.copytree(made / "home", workspace.root)
    result = read_json(made / "result.json")
    return Trained(workspace, open_run(workspace, result["run"]), made / "photos", result)


def _train(folder: Path) -> None:
    images = write_images(folder / "photos", {"cat": 30, "dog": 30, "fox": 30}, "class folders", (24, 18), ".png", 0)
    done = darkroom("train", "--data", images, *SMALL_FLAGS, home=folder / "home")
    assert done.status == 0, done.errors
    write_json(folder / "result.json", done.result)
