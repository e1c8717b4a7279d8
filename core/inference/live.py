"""Classifies what a camera sees while it is seen: a ticket for each viewer, one frame at a time, nothing kept."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.errors import ImageReadError, InputError
from core.inference.classifier import Classifier
from core.preprocess import open_image
from core.wording import count

MAX_BYTES = 4 * 10**6  # of a frame; a camera's at full size has less than one million
MAX_PIXELS = 16_000_000
_KINDS = {"JPEG", "PNG", "WEBP"}  # what browsers make of a camera's picture
_TOP = 3  # classes an answer names
_FORGET_AFTER_S = 3600.0
_MOST_VIEWERS = 64


class FrameRefused(InputError):
    """A frame that gets no answer.

    Attributes:
        status: why, as HTTP says it: 404 unknown ticket, 413 too large, 422 no image, 429 one at a time.
    """

    def __init__(self, status: int, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.status = status


@dataclass
class _Viewer:
    classifier: Classifier
    last_seen: float
    turn: threading.Lock = field(default_factory=threading.Lock)


class Viewers:
    """Who may have frames classified, and by which model; safe to share between threads."""

    def __init__(self) -> None:
        self._viewers: dict[str, _Viewer] = {}
        self._lock = threading.Lock()

    def admit(self, classifier: Classifier) -> str:
        """A secret that allows to send frames to this model.

        Tickets unused for an hour are forgotten, and beyond 64 those unused for longest.
        """
        ticket, now = secrets.token_urlsafe(32), time.monotonic()
        with self._lock:
            for old in sorted(self._viewers, key=lambda one: self._viewers[one].last_seen):
                if len(self._viewers) >= _MOST_VIEWERS or now - self._viewers[old].last_seen > _FORGET_AFTER_S:
                    del self._viewers[old]
            self._viewers[ticket] = _Viewer(classifier, now)
        return ticket

    def knows(self, ticket: str) -> bool:
        """Whether the ticket is still good."""
        return ticket in self._viewers

    def dismiss(self, ticket: str) -> None:
        """Forget a ticket; nothing happens where there is none."""
        with self._lock:
            self._viewers.pop(ticket, None)

    @contextmanager
    def turn(self, ticket: str) -> Iterator[Callable[[bytes], dict[str, Any]]]:
        """The viewer's turn, from before its frame is received until it is answered; gives what answers it.

        Raises:
            FrameRefused: the ticket is unknown, or its turn has not ended.
        """
        viewer = self._viewers.get(ticket)
        if viewer is None:
            raise FrameRefused(404, "This camera is not expected.", "Reload the page.")
        if not viewer.turn.acquire(blocking=False):
            raise FrameRefused(429, "The frame before this one is not answered yet.", "Send one at a time.")
        try:
            viewer.last_seen = time.monotonic()
            yield lambda data: look(viewer.classifier, data)
        finally:
            viewer.turn.release()


VIEWERS = Viewers()  # of this process: pages admit, the launcher's route answers


def look(classifier: Classifier, data: bytes) -> dict[str, Any]:
    """What the model sees in one frame.

    Returns:
        `label`, `confidence` (0..1), `top` (pairs of class and probability, likeliest first), `sure`, `familiar` (see
        `Answer`) and `ms`, how long it took.

    Raises:
        FrameRefused: too large, or no image.
    """
    began = time.perf_counter()
    check_size(len(data))
    try:
        image = open_image(data)
    except ImageReadError as error:
        raise FrameRefused(422, error.message) from error
    if image.format not in _KINDS:
        raise FrameRefused(422, f"A frame is a JPEG, PNG or WebP image, not {image.format}.")
    if image.width * image.height > MAX_PIXELS:
        raise FrameRefused(413, f"A frame may have {count(MAX_PIXELS, 'pixel')}.", "Choose a smaller picture.")
    (answer,) = classifier.classify([data], ["frame"])
    if answer.error is not None:
        raise FrameRefused(422, answer.error)
    return {
        "label": answer.label,
        "confidence": answer.confidence,
        "top": answer.top[:_TOP],
        "sure": answer.sure,
        "familiar": answer.familiar,
        "ms": round(1000 * (time.perf_counter() - began), 1),
    }


def check_size(num_bytes: int) -> None:
    """Raises `FrameRefused` where a frame of so many bytes is not taken."""
    if num_bytes > MAX_BYTES:
        raise FrameRefused(413, f"A frame may have {MAX_BYTES // 10**6} MB.", "Choose a smaller picture.")
