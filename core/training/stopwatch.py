"""How long each phase of a piece of work takes."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds by phase; a phase that is entered again goes on counting.

    Args:
        began: when the first phase did, as `time.monotonic` counts.
    """

    def __init__(self, phase: str, began: float | None = None) -> None:
        self._seconds: dict[str, float] = {}
        self._phase, self._entered = phase, time.monotonic() if began is None else began

    def enter(self, phase: str) -> None:
        """Another phase begins now."""
        self._seconds = self.seconds()
        self._phase, self._entered = phase, time.monotonic()

    def seconds(self) -> dict[str, float]:
        """Of each phase in the order they were first entered, the one under way up to now."""
        spent = self._seconds.get(self._phase, 0.0) + time.monotonic() - self._entered
        return self._seconds | {self._phase: spent}
