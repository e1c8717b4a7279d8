"""Start, resume, repeat and stop runs, by command line only: this process never imports the worker.

A run that is started takes its place in the queue (`core.runs.queue`); a small process waits there for its turn and
then becomes the worker. Nothing here waits for any of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import pandas as pd

from core import jobs
from core.config import TrainConfig
from core.errors import InputError
from core.runs import line, queue
from core.runs.devices import gpus, training_device
from core.runs.order import Request
from core.runs.slots import CPU
from core.runs.store import Run, create_run
from core.workspace import Workspace

TURN_PROGRAM, ENDING_PROGRAM = "core.runs.turn", "core.runs.ending"
WORKER, TORCHRUN = "core.training.worker", "torch.distributed.run"
FINISHING = frozenset({"writing", "exporting", "evaluating"})  # phases a run ends by itself, stopped or not
GRACE_S = 10.0  # for a step to end and its state to be saved, before a run that is to stop now is killed


def start_run(
    workspace: Workspace,
    config: TrainConfig,
    manifest: pd.DataFrame,
    data: dict[str, Any] | None = None,
    tags: Iterable[str] = (),
) -> Run:
    """Create a run and put it at the end of the queue, where it outlives this process; see `create_run`."""
    run = create_run(workspace, config, manifest, data, tags)
    _launch(workspace, run, config)
    return run


def would_wait(workspace: Workspace, config: TrainConfig) -> str:
    """What a run with these settings would wait for if it were started now; empty where it could begin at once."""
    devices, num, _ = _where(config)
    return queue.would_wait(workspace, Request([], {}, devices, num))


def resume_run(run: Run) -> Run:
    """Go on where a stopped, failed or lost run was, with the settings it was started with, once its turn comes.

    Raises:
        InputError: the run is at work, or has finished.
    """
    state = run.status.state
    if state == "finished":
        raise InputError(f"Run {run.id} has finished.", "Start a new run to train longer.")
    if state not in jobs.ENDED:
        raise InputError(f"Run {run.id} is {state}.", "Stop it before resuming it.")
    if jobs.is_at_work(run.folder, patience_s=5):
        raise InputError(f"The process of run {run.id} is still there.", "Wait until it is heard of again, or end it.")
    created = run.created
    config = run.config
    jobs.prepare(run.folder, "Waiting to resume.", created=created)
    _launch(Workspace.default(), run, config, has_begun=bool(run.metrics()))
    return run


def retry_run(workspace: Workspace, run: Run) -> Run:
    """A new run with the same settings and the same division of the same images, from the start.

    Raises:
        InputError: the settings are not valid any more; DarkroomError where the manifest cannot be read.
    """
    return start_run(workspace, run.config, run.manifest(), run.data())


def stop_run(run: Run, reason: str = "") -> None:
    """Ask the worker to end at its next step and keep the best weights; nothing happens to a run that has ended.

    Args:
        reason: a sentence, where it is another than that somebody wants it.
    """
    if not run.status.ended:
        jobs.request_stop(run.folder, reason)


def stop_now(run: Run, grace_s: float = GRACE_S) -> None:
    """Ask the run to stop, and have what is left of its processes after `grace_s` killed; returns at once.

    Nothing happens to a run that has ended; see `core.runs.ending` for the rest.

    Args:
        grace_s: seconds; 0 kills at once.
    """
    if run.status.ended:
        return
    jobs.request_stop(run.folder)
    # A process of its own, as this one may end before the time is up: a server, a command line.
    jobs.spawn(run.folder, ENDING_PROGRAM, str(run.folder), str(grace_s))


def _launch(workspace: Workspace, run: Run, config: TrainConfig, has_begun: bool = False) -> None:
    line.join(workspace, run.folder, _request(run, config, has_begun))
    jobs.launch(run.folder, TURN_PROGRAM, str(run.folder), environment=workspace.environment)


def _request(run: Run, config: TrainConfig, has_begun: bool) -> Request:
    """What the run does when its turn comes: the worker, or torchrun where several processes share the work."""
    python, num = [sys.executable, "-m"], config.runtime.processes
    devices, num_devices, visible = _where(config)
    if num == 1:
        command = [*python, WORKER, str(run.folder)]
        return Request(command, {}, devices, num_devices, visible, has_begun)
    # By its number this machine finds itself even where its name is in no directory, as in many containers.
    here = ("--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={num}")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, training_device().num_cores // num))
    environment = {"OMP_NUM_THREADS": threads}  # torchrun would give each process one
    command = [*python, TORCHRUN, *here, "-m", WORKER, str(run.folder)]
    return Request(command, environment, devices, num_devices, visible, has_begun)


def _where(config: TrainConfig) -> tuple[list[str], int, dict[str, str]]:
    """Devices that will do, on how many of them at once, and what CUDA calls each where there is a choice."""
    there = [] if config.runtime.device == "cpu" else gpus()
    if not there:
        return [CPU], 1, {}
    visible = {gpu.name: gpu.uuid for gpu in there} if len(there) > 1 else {}
    return [gpu.name for gpu in there], min(config.runtime.processes, len(there)), visible
