"""Program: kill what is left of a run that was asked to stop now. `python -m core.runs.ending RUN_FOLDER GRACE_S`

The request is a file that the worker heeds after its step. No signal asks for the same: the worker's own helpers would
take one for their end, and a run that was to be saved would fail. Only after the grace time are processes killed, and
only those that have the start time the run noted: a stranger that has the number by now is left alone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from core import jobs
from core.runs import line
from core.workspace import Workspace

LOOK_S = 0.1
_DEATH_S = 30.0  # for which a killed process may hang in a call of the system, as on a disk that does not answer


def main(folder: Path, grace_s: float) -> int:
    """Wait, kill, and say in the run's status that it was stopped. Returns the exit status."""
    processes = jobs.job_processes(folder)
    waits = jobs.read_status(folder).state == "queued"
    _await(processes, grace_s)
    words = line.CANCELLED if waits else _words(folder, grace_s)
    if any(process.is_alive() for process in processes):
        jobs.request_stop(folder, last_word=words)  # first, so that nobody sees it end without a word
        for process in processes:
            process.kill_tree()
        _await(processes, _DEATH_S)
    if waits:
        line.leave(Workspace.default(), folder)
    jobs.conclude(folder, words)
    return 0


def _await(processes: list[jobs.ProcessIdentity], at_most_s: float) -> None:
    until = time.monotonic() + at_most_s
    while any(process.is_alive() for process in processes) and time.monotonic() < until:
        time.sleep(LOOK_S)


def _words(folder: Path, grace_s: float) -> str:
    how = f"Stopped at once: its processes were killed {grace_s:g} s after it was asked."
    if (folder / "checkpoint.pt").is_file():
        return f"{how} Resume goes on from its last checkpoint."
    return f"{how} It had saved nothing yet."


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), float(sys.argv[2])))
