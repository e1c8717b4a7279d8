"""Program: train one run from its folder. `python -m core.training.worker RUN_FOLDER`

It says who it is before anything slow is imported, and turns every outcome into a status a reader can trust;
the work itself is in `core.training.job`. Under torchrun it is one of several: the first (rank 0) is the one that
writes, the others only compute.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path

from core.errors import DarkroomError
from core.jobs import STOP, StatusWriter, stop_reason
from core.training.reporting import Report, Silent, end_with_parent


def main(folder: Path) -> int:
    """Train the run in `folder`. Returns the exit status."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what runtime.deterministic needs, before CUDA starts
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        end_with_parent()
    if int(os.environ.get("RANK", "0")) > 0:
        return _assist(folder)
    # SIGTERM (a service manager, a shutdown) means the same as the Stop button.
    signal.signal(signal.SIGTERM, lambda *_: (folder / STOP).touch())
    try:
        with StatusWriter(folder) as status:
            return _train(folder, status)
    except DarkroomError as error:  # another process is at work here, or the disk takes not even a status
        print(error, flush=True)
        return error.exit_status


def _train(folder: Path, status: Report) -> int:
    from core.runs.store import Run
    from core.training.early import decode_early

    try:
        status.update(message="Starting.", phase="starting")
        run = Run(folder.name, folder)
        with decode_early(run.config, run.manifest()) or nullcontext() as begun:
            from core.training.job import train_run
            from core.training.memory import limit_to_free_memory

            limit_to_free_memory()
            outcome = train_run(folder, status, begun)
        why = f"{stop_reason(folder)} " if outcome.state == "stopped" else ""
        status.update(state=outcome.state, message=(why + outcome.message).strip(), phase="", rate=0.0, eta_s=None)
        return int(outcome.others_wait)  # on anything but 0 torchrun ends the others
    except Exception as error:
        if isinstance(error, DarkroomError):
            print(error, flush=True)
        else:
            traceback.print_exc()
        exit_status, fix = (error.exit_status, error.fix) if isinstance(error, DarkroomError) else (1, "")
        status.update(
            state="failed",
            message=in_words(error),
            rate=0.0,
            eta_s=None,
            extra={"exit_status": exit_status, "error": type(error).__name__, "fix": fix},  # `core.runs.trouble` reads
        )
        return exit_status


def _assist(folder: Path) -> int:
    """Compute along with the first process, which alone tells how it goes."""
    from core.training.job import train_run
    from core.training.memory import limit_to_free_memory

    limit_to_free_memory()
    try:
        train_run(folder, Silent())
        return 0
    except Exception as error:
        # The first process has said what is wrong with the settings or the images; here it would be said again.
        if not isinstance(error, DarkroomError):
            traceback.print_exc()
        return error.exit_status if isinstance(error, DarkroomError) else 1


def in_words(error: Exception) -> str:
    """What went wrong and what to do, for the person who started the run."""
    if isinstance(error, DarkroomError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "Out of memory. Lower optim.batch_size or preprocess.image_size and start a new run."
    return f"An error nobody foresaw: {type(error).__name__}: {error}. The log has the details."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
