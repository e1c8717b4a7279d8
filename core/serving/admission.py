"""How many requests and bytes are at work at once; what would be more is told to come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.serving.limits import Limits, Refused


class Admission:
    """Counts what has been let in. For one event loop: not safe to share between threads.

    Attributes:
        num_requests, held_bytes: let in and not answered yet.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.num_requests = 0
        self.held_bytes = 0

    @contextmanager
    def request(self) -> Iterator[Held]:
        """Room for a request until it is answered; what arrives of it is noted with `Held.more`.

        Raises:
            Refused: 429, there is no more room.
        """
        if self.num_requests >= self._limits.queue:  # each has at least one image
            raise busy("Too many requests are at work.")
        held = Held(self, self._limits)
        self.num_requests += 1
        try:
            yield held
        finally:
            self.num_requests -= 1
            self.held_bytes -= held.num_bytes


class Held:
    """What one request holds."""

    def __init__(self, admission: Admission, limits: Limits) -> None:
        self._admission, self._limits = admission, limits
        self.num_bytes = 0

    def more(self, num_bytes: int) -> None:
        """Note that so many bytes more are held.

        Raises:
            Refused: 413 where the request is too large, 429 where all requests together are.
        """
        if self.num_bytes + num_bytes > self._limits.request_bytes:
            raise Refused(413, f"A request may have {self._limits.request_mb:g} MB.", "Send fewer images at once.")
        if self._admission.held_bytes + num_bytes > self._limits.held_bytes:
            raise busy("The requests at work hold as many bytes as they may.")
        self.num_bytes += num_bytes
        self._admission.held_bytes += num_bytes


def busy(message: str, wait_s: float = 1) -> Refused:
    """The refusal of a request that may come again.

    Args:
        wait_s: seconds after which that is worth trying.
    """
    seconds = max(1, round(wait_s))
    return Refused(429, message, f"Send it again in {seconds} s.", Retry_After=seconds)
