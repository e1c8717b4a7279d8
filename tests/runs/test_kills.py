"""SIGKILL at any moment: the run goes on when resumed, ends with the same weights to the bit, and no file is broken."""

from __future__ import annotations

import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from safetensors.numpy import load_file

from benchmarks.kill import unreadable_files
from core import jobs
from core.config import build_config
from core.data.datasets import index_path
from core.data.splits import split_dataset
from core.runs.store import Run, create_run
from core.training import session, worker
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.running import worker_context

VALUES = {
    "preprocess.image_size": 16,
    "optim.batch_size": 8,
    "optim.epochs": 40,
    "optim.ema_decay": 0.9,
    "stop.patience": 0,
    "runtime.deterministic": True,
}


def _worker(folder: str, home: str) -> None:
    os.environ["DARKROOM_HOME"] = home
    session.CHECKPOINT_EVERY_S = 0.02  # as a run of minutes has it in proportion
    sys.stdout = sys.stderr = open(Path(folder) / jobs.LOG, "a", buffering=1)
    os._exit(worker.main(Path(folder)))


def _start(run: Run) -> BaseProcess:
    jobs.prepare(run.folder)
    process = worker_context().Process(target=_worker, args=(str(run.folder), os.environ["DARKROOM_HOME"]))
    process.start()
    return process


def test_killed_three_times_the_weights_are_as_if_never_killed(image_folder: ImageFolder, workspace: Workspace) -> None:
    values = VALUES | {"data.dataset": index_path(workspace, image_folder(counts={"cat": 40, "dog": 40})).id}
    config = build_config(values, "from-scratch")
    manifest = split_dataset(workspace, config)
    whole, killed = create_run(workspace, config, manifest), create_run(workspace, config, manifest)
    _start(whole).join(120)
    assert whole.status.state == "finished", whole.log_tail()
    for after_epoch in (1, 8, 20):
        process = _start(killed)
        until = time.monotonic() + 120
        while len(killed.metrics()) < after_epoch and process.is_alive() and time.monotonic() < until:
            time.sleep(0.001)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert killed.status.state == "lost", killed.log_tail()
        assert unreadable_files(killed.folder) == []
    _start(killed).join(120)
    assert killed.status.state == "finished", killed.log_tail()
    first, second = (load_file(run.bundle / "model.safetensors") for run in (whole, killed))
    assert all((first[name] == second[name]).all() for name in first)
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_balanced_accuracy", "learning_rate")
    assert [[row[name] for name in names] for row in killed.metrics()] == [
        [row[name] for name in names] for row in whole.metrics()
    ]
    assert unreadable_files(killed.folder) == [] and not list(killed.folder.glob(".*.tmp"))
