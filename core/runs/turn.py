"""Program: wait for a run's turn, then become its worker. `python -m core.runs.turn RUN_FOLDER`

It imports little, so that a hundred waiting runs are a hundred small processes. It becomes the worker by `os.execv`,
so that the process keeps its number and start time, and with them the slot it holds.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from core.errors import DarkroomError
from core.jobs import HEARTBEAT_S, STOP, TURN_CAME, StatusWriter, stop_reason
from core.runs import line
from core.runs.order import TURN, Request, id_in_order, request_of
from core.runs.slots import Taken, pass_on
from core.workspace import Workspace

LOOK_S = 0.1  # between two looks at what concerns it: a stop, and its turn where it is next
LOOK_FAR_S = 0.5  # where others go before it


def main(folder: Path) -> int:
    """Wait in `folder`'s place in the queue. Returns the exit status where no worker came of it."""
    # SIGTERM (a service manager, a shutdown) means the same as a stop request.
    signal.signal(signal.SIGTERM, lambda *_: (folder / STOP).touch())
    workspace = Workspace.default()
    try:
        request = request_of(workspace, id_in_order(workspace, folder))
        if request is None:
            raise DarkroomError(f"{folder / TURN} is missing or damaged.", "Resume the run to write it anew.")
        # Without a thread for heartbeats: the system may take a lock from a process of several that becomes another.
        with StatusWriter(folder, "queued", beats=False) as status:
            taken = _wait(workspace, folder, request, status)
            if not taken:
                line.leave(workspace, folder)
                cancelled = line.CANCELLED_AGAIN if request.has_begun else line.CANCELLED
                status.update(state="stopped", message=f"{stop_reason(folder)} {cancelled}".strip(), extra={})
                return 0
            status.update(state="running", message="Starting.", phase="starting", extra={})
        return _become(request, taken)
    except DarkroomError as error:  # another process is at work here, or the disk is full
        print(error, flush=True)
        return error.exit_status


def _wait(workspace: Workspace, folder: Path, request: Request, status: StatusWriter) -> list[Taken]:
    """Slots on the devices once it is its turn; none where it was asked to stop."""
    look_at = say_at = 0.0
    said: tuple[bool, str] | None = None
    while not status.stop_requested:
        now = time.monotonic()
        if now >= look_at:
            is_next, taken = line.take_turn(workspace, folder, request)
            if taken:
                return taken
            look_at = now + (LOOK_S if is_next else LOOK_FAR_S)
            held, words = line.in_words(workspace, folder)
            if (held, words) != said or now >= say_at:
                status.update(message=f"It waits {words}.", extra={"held": True} if held else {})
                said, say_at = (held, words), now + HEARTBEAT_S
        time.sleep(LOOK_S)
    return []


def _become(request: Request, taken: list[Taken]) -> int:
    """Never returns: from here on this process is the worker."""
    pass_on(taken)
    environment = {**os.environ, **request.environment, TURN_CAME: repr(time.time())}
    if request.visible:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(request.visible[one.device] for one in taken)
    sys.stdout.flush()
    os.execve(request.command[0], request.command, environment)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
