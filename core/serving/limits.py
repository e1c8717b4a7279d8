"""How much a server takes from its clients before it says no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.errors import InputError


@dataclass(frozen=True)
class Limits:
    """What is taken, at most; `metadata["help"]` of a field is its help on the command line.

    Attributes:
        files: images in one request.
        file_mb, request_mb: sizes of one image file and of a request's whole body, millions of bytes.
        megapixels: of one image, millions of pixels.
        queue: images that wait or are being worked on, of all requests together.
        held_mb: bytes of all requests that are received or waiting, millions.
        receive_s: seconds for a request's body to arrive.
        answer_s: seconds for its answer, from then on.
    """

    files: int = field(default=64, metadata={"help": "images in one request"})
    file_mb: float = field(default=20, metadata={"help": "megabytes of one image file"})
    request_mb: float = field(default=64, metadata={"help": "megabytes of one request"})
    megapixels: float = field(default=100, metadata={"help": "millions of pixels of one image"})
    queue: int = field(default=256, metadata={"help": "images waiting, beyond which clients are told to come again"})
    held_mb: float = field(default=256, metadata={"help": "megabytes of all requests at work together"})
    receive_s: float = field(default=30, metadata={"help": "seconds for a request to arrive"})
    answer_s: float = field(default=30, metadata={"help": "seconds for an answer"})

    @property
    def file_bytes(self) -> int:
        return int(self.file_mb * 1e6)

    @property
    def request_bytes(self) -> int:
        return int(self.request_mb * 1e6)

    @property
    def held_bytes(self) -> int:
        return int(self.held_mb * 1e6)

    @property
    def pixels(self) -> int:
        return int(self.megapixels * 1e6)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"The limit {name} is {value!r}.", "Give a number above 0.")


class Refused(Exception):
    """A request that gets no answer; what it gets instead.

    Attributes:
        status: of HTTP.
        message, fix: what is wrong, and what to do about it.
        headers: of the response.
    """

    def __init__(self, status: int, message: str, fix: str = "", **headers: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.fix = status, message, fix
        self.headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
