"""Program: train one run from its folder. `python -m core.training.worker RUN_FOLDER`

It says who it is before anything slow is imported, and turns every outcome into a status a reader can trust;
the work itself is in `core.training.job`.
"""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path

from core.errors import DarkroomError
from core.jobs import STOP, StatusWriter


def main(folder: Path) -> int:
    """Train the run in `folder`. Returns the exit status."""
    # SIGTERM (a service manager, a shutdown) means the same as the Stop button.
    signal.signal(signal.SIGTERM, lambda *_: (folder / STOP).touch())
    try:
        with StatusWriter(folder) as status:
            return _train(folder, status)
    except DarkroomError as error:  # another process is at work here, or the disk takes not even a status
        print(error, flush=True)
        return error.exit_status


def _train(folder: Path, status: StatusWriter) -> int:
    try:
        status.update(message="Starting.", phase="starting")
        from core.training.job import train_run

        outcome = train_run(folder, status)
        status.update(state=outcome.state, message=outcome.message, phase="", rate=0.0, eta_s=None)
        return 0
    except Exception as error:
        if isinstance(error, DarkroomError):
            print(error, flush=True)
        else:
            traceback.print_exc()
        exit_status = error.exit_status if isinstance(error, DarkroomError) else 1
        status.update(
            state="failed",
            message=in_words(error),
            rate=0.0,
            eta_s=None,
            extra={"exit_status": exit_status, "error": type(error).__name__},
        )
        return exit_status


def in_words(error: Exception) -> str:
    """What went wrong and what to do, for the person who started the run."""
    if isinstance(error, DarkroomError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "Out of memory. Lower optim.batch_size or preprocess.image_size and start a new run."
    return f"An error nobody foresaw: {type(error).__name__}: {error}. The log has the details."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
