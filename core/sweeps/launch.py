"""Start and stop the processes that work on a sweep, by command line only: this process never imports optuna."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from core import jobs
from core.errors import InputError
from core.sweeps.store import WORKERS, Sweep, storage_url

PROGRAM = "core.sweeps.work"


def start_worker(sweep: Sweep) -> Path:
    """Start one more process on the sweep; gives its folder, which is that of one that has ended where there is any.

    It outlives this process. A sweep that was stopped or killed goes on so too.

    Raises:
        InputError: its study is in another place than the environment says.
    """
    storage_url(sweep)
    (sweep.folder / WORKERS).mkdir(exist_ok=True)
    with FileLock(sweep.folder / ".workers.lock"):
        number = 1
        while not _is_free(folder := sweep.folder / WORKERS / f"{number}"):
            number += 1
        folder.mkdir(exist_ok=True)
        jobs.prepare(folder)
    jobs.launch(folder, PROGRAM, str(folder))
    return folder


def go_on(sweep: Sweep) -> None:
    """From a button: start a process where none is at work."""
    if sweep.num_at_work:
        raise InputError(f"Sweep {sweep.id} is at work already.", "Wait for it, or stop it first.")
    start_worker(sweep)


def stop_sweep(sweep: Sweep) -> None:
    """Ask all processes at work on it in this workspace to end; their runs are stopped and go on with the sweep."""
    for worker in sweep.workers():
        if not jobs.read_status(worker).ended:
            jobs.request_stop(worker)


def _is_free(folder: Path) -> bool:
    return not folder.exists() or (jobs.read_status(folder).ended and not jobs.is_at_work(folder, patience_s=2))
