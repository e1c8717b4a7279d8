"""Waiting for something to become true, and a small program that tests launch as a job."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.jobs import StatusWriter

_PAUSE = threading.Event()  # never set: waiting on it is a pause between two looks


def wait_until(is_true: Callable[[], bool], what: str, timeout_s: float = 180) -> None:
    """Look again and again until it is true; fail saying what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        _PAUSE.wait(0.05)


def _job(folder: Path) -> None:
    with StatusWriter(folder) as status:
        wait_until(lambda: status.stop_requested, "a stop request")
        status.update(state="stopped")
        print("stopped cleanly", flush=True)


if __name__ == "__main__":
    _job(Path(sys.argv[1]))
