"""How slow preparations tell what they do and learn that they should end; they know neither files nor pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.training.batching.images import Progress


@dataclass(frozen=True)
class Watch:
    """Those who wait for the work.

    Attributes:
        enter: told the phase that begins and what it does, in words.
        meter: gives a progress callback for a new stretch of images.
        should_stop: whether to end now.
        log: told a line for the log.
    """

    enter: Callable[[str, str], None]
    meter: Callable[[], Progress]
    should_stop: Callable[[], bool]
    log: Callable[[str], None]


class Stopped(Exception):
    """Asked to stop before the work was done; what is worth keeping was kept."""
