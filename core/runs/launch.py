"""Start, resume and stop the worker of a run, by command line only: this process never imports it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pandas as pd

from core import jobs
from core.config import TrainConfig
from core.errors import InputError
from core.runs.devices import training_device
from core.runs.store import Run, create_run
from core.workspace import Workspace

WORKER, TORCHRUN = "core.training.worker", "torch.distributed.run"
FINISHING = frozenset({"writing", "exporting", "evaluating"})  # phases a run ends by itself, stopped or not


def start_run(
    workspace: Workspace,
    config: TrainConfig,
    manifest: pd.DataFrame,
    data: dict[str, Any] | None = None,
    tags: Iterable[str] = (),
) -> Run:
    """Create a run and start its worker, which outlives this process; see `create_run`."""
    run = create_run(workspace, config, manifest, data, tags)
    _launch(run, config)
    return run


def resume_run(run: Run) -> Run:
    """Go on where a stopped, failed or lost run was, with the settings it was started with.

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
    _launch(run, config)
    return run


def stop_run(run: Run, reason: str = "") -> None:
    """Ask the worker to end at its next step and keep the best weights; nothing happens to a run that has ended.

    Args:
        reason: a sentence that begins the message it ends with.
    """
    if not run.status.ended:
        jobs.request_stop(run.folder, reason)


def _launch(run: Run, config: TrainConfig) -> None:
    """Start the worker, or where several processes share the work torchrun, which starts and ends them together."""
    num_processes = config.runtime.processes
    if num_processes == 1:
        jobs.launch(run.folder, WORKER, str(run.folder))
        return
    # By its number this machine finds itself even where its name is in no directory, as in many containers.
    here = ("--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={num_processes}")
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, training_device().num_cores // num_processes))
    environment = {"OMP_NUM_THREADS": threads}  # torchrun would give each process one
    jobs.launch(run.folder, TORCHRUN, *here, "-m", WORKER, str(run.folder), environment=environment)
