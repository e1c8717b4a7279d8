"""Two processes that share the work of a run do what one does; they stop together, and none outlives the other."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from core import jobs
from core.config import TrainConfig, build_config
from core.data.datasets import index_path
from core.data.splits import split_dataset
from core.runs.launch import start_run
from core.runs.store import Run, create_run
from core.training import session, worker
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.running import free_port, worker_context
from tests.waiting import wait_until

VALUES = {
    # Without batch normalisation, whose statistics are those of each process's part, and without dropout, which each
    # draws for itself.
    "model.architecture": "cnn_2_blocks",
    "model.dropout": 0.0,
    "augment.shift": 0.0,
    "augment.zoom": 0.0,
    "augment.rotate_degrees": 0.0,
    "preprocess.image_size": 16,
    "optim.batch_size": 16,
    "optim.epochs": 4,
    "optim.learning_rate": 2e-4,  # slow enough that there is something left to learn in every epoch
    "stop.patience": 0,
}


def _config(workspace: Workspace, images: Path, **changes: Any) -> TrainConfig:
    values = VALUES | {"data.dataset": index_path(workspace, images).id}
    return build_config(values | {name.replace("__", "."): value for name, value in changes.items()}, "from-scratch")


def _one(rank: int, folder: str, home: str, size: int, port: int, die_at: str = "") -> None:
    """One of `size` workers as torchrun would start it, without the seconds each takes to import torch."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    os.environ["DARKROOM_HOME"] = home
    os.environ.update(zip(names, map(str, (rank, rank, size, size, "127.0.0.1", port)), strict=True))
    if size == 1:
        os.environ.pop("RANK")
    sys.stdout = sys.stderr = open(Path(folder) / jobs.LOG, "a", buffering=1)
    if die_at == "end of an epoch" and rank == 1:
        session.Session._on_epoch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    os._exit(worker.main(Path(folder)))


def _start(run: Run, size: int, die_at: str = "") -> list[Any]:
    port = free_port()
    home = os.environ["DARKROOM_HOME"]
    workers = [
        worker_context().Process(target=_one, args=(rank, str(run.folder), home, size, port, die_at))
        for rank in range(size)
    ]
    for process in workers:
        process.start()
    return workers


def _join(run: Run, workers: list[Any]) -> Run:
    for process in workers:
        process.join(120)
        assert process.exitcode is not None, f"a worker hangs: {run.log_tail()}"
    return run


def _run(workspace: Workspace, config: TrainConfig, size: int, die_at: str = "") -> Run:
    run = create_run(workspace, config, split_dataset(workspace, config))
    return _join(run, _start(run, size, die_at))


def test_two_learn_what_one_learns(image_folder: ImageFolder, workspace: Workspace) -> None:
    config = _config(workspace, image_folder(counts={"cat": 30, "dog": 29}))
    alone, shared = _run(workspace, config, 1), _run(workspace, config, 2)
    assert (alone.status.state, shared.status.state) == ("finished", "finished"), shared.log_tail()
    assert "in 2 processes" in shared.log_tail()
    assert alone.status.extra["num_steps"] == shared.status.extra["num_steps"]
    for one, two in zip(alone.metrics(), shared.metrics(), strict=True):
        assert one["epoch"] == two["epoch"] and one["learning_rate"] == two["learning_rate"]
        for name in ("train_loss", "val_loss"):
            assert two[name] == pytest.approx(one[name], rel=1e-4)
        for name in ("train_accuracy", "val_accuracy"):
            assert two[name] == one[name]
    assert 0.01 < alone.metrics()[-1]["train_loss"] < 0.9 * alone.metrics()[0]["train_loss"]
    first, second = (load_file(run.bundle / "model.safetensors") for run in (alone, shared))
    assert all(np.allclose(first[name], second[name], atol=1e-4) for name in first)
    assert alone.manifest().equals(shared.manifest())  # the same split
    report, expected = shared.report(), alone.report()
    assert report is not None and expected is not None and report["confusion"] == expected["confusion"]


def test_when_one_dies_the_other_says_so_and_both_go_on_later_and_stop_together(
    image_folder: ImageFolder, workspace: Workspace
) -> None:
    config = _config(workspace, image_folder(counts={"cat": 30, "dog": 30}), optim__epochs=1000)
    run = _run(workspace, config, 2, die_at="end of an epoch")
    assert run.status.state == "failed", run.log_tail()
    assert "Another of the 2 processes" in run.status.message and "Resume" in run.status.message
    jobs.prepare(run.folder)
    workers = _start(run, 2)
    wait_until(lambda: len(run.metrics()) >= 3 or run.status.ended, "three epochs", timeout_s=120)
    jobs.request_stop(run.folder)
    _join(run, workers)
    assert run.status.state == "stopped" and run.has_bundle, run.log_tail()
    epochs = [row["epoch"] for row in run.metrics()]
    assert epochs == list(range(1, len(epochs) + 1))


def test_torchrun_starts_both_and_ends_both(image_folder: ImageFolder, workspace: Workspace) -> None:
    images = image_folder(counts={"cat": 30, "dog": 30})
    config = _config(workspace, images, optim__epochs=1000, runtime__processes=2)
    run = start_run(workspace, config, split_dataset(workspace, config))
    launcher = psutil.Process(int((jobs.read_json(run.folder / jobs.PROCESS) or {})["pid"]))
    wait_until(lambda: len(run.metrics()) >= 1 or run.status.ended, "an epoch", timeout_s=120)
    both = [child for child in launcher.children() if "core.training.worker" in child.cmdline()]
    assert len(both) == 2, run.log_tail()
    (other,) = [child for child in both if child.pid != run.status.pid]
    other.kill()
    wait_until(lambda: run.status.ended, "the run to end", timeout_s=60)
    assert run.status.state in ("failed", "lost"), run.log_tail()
    _, alive = psutil.wait_procs([launcher, *both], timeout=60)
    assert not alive
