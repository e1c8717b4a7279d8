"""What a training process tells of itself: the first of several writes the run's status, the others are silent."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Protocol

WATCH_S = 0.5


class Report(Protocol):
    """The part of `core.jobs.StatusWriter` that training uses."""

    @property
    def stop_requested(self) -> bool: ...

    def update(self, **changes: Any) -> None: ...

    def progress(self, done: int, total: int, **changes: Any) -> None: ...


class Silent:
    """The report of a process that is not the first: it says nothing and is told when to stop by the first."""

    stop_requested = False

    def update(self, **changes: Any) -> None:
        """Nothing."""

    def progress(self, done: int, total: int, **changes: Any) -> None:
        """Nothing."""


def end_with_parent() -> None:
    """Make this process end when the one that started it does, however that ends: no orphan keeps a GPU."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
