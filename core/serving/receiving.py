"""Reads the files of a request out of its body (multipart/form-data), counting what comes before it is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import BytesIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from core.serving.admission import Held
from core.serving.limits import Limits, Refused

FIELD = "files"
_MOST_NAME = 200  # letters of a file's name that are given back
_HOW = f"Send multipart/form-data with an image in each field {FIELD!r}: curl -F {FIELD}=@photo.jpg URL"


@dataclass
class Upload:
    """One file as it came: the name the client gave it, and its bytes."""

    name: str
    data: bytes = b""


async def receive_files(request: Request, held: Held, limits: Limits) -> list[Upload]:
    """The files of a request, at least one.

    Raises:
        Refused: 400 a body that is not what it says, 408 too slow, 413 too much, 415 of another kind, 422 no file or
            an unknown field, 429 see `Held.more`.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Refused(415, f"The body is {(kind or b'of no kind').decode('latin-1')!r}.", _HOW)
    if not 0 < len(options.get(b"boundary", b"")) <= 256:
        raise Refused(400, "The body's kind names no boundary.", _HOW)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.request_bytes:
        raise Refused(413, f"A request may have {limits.request_mb:g} MB.", "Send fewer images at once.")
    parts = _Parts(options[b"boundary"], limits)
    try:
        async with asyncio.timeout(limits.receive_s):
            async for piece in request.stream():
                held.more(len(piece))
                parts.take(piece)
        return parts.all()
    except TimeoutError as error:
        raise Refused(408, f"The request did not arrive within {limits.receive_s:g} s.", "Send it again.") from error
    except ClientDisconnect as error:
        raise Refused(400, "The client went away.") from error
    finally:
        parts.close()


class _Parts:
    """Takes the body piece by piece and keeps the files in it."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        self._limits = limits
        self._files: list[Upload] = []
        self._file = BytesIO()  # the one that is coming
        self._name, self._value = bytearray(), bytearray()  # of a header; the parser bounds their size
        self._disposition = b""
        self._whole = False
        self._parser: MultipartParser | None = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._open,
                "on_part_data": self._data,
                "on_part_end": self._close_file,
                "on_end": self._end,
            },
        )

    def take(self, piece: bytes) -> None:
        """Raises `Refused`, see `receive_files`."""
        assert self._parser is not None
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise Refused(400, f"The body is not valid multipart/form-data: {error}.", _HOW) from error

    def all(self) -> list[Upload]:
        """The files, all of them having come. Raises `Refused`, see `receive_files`."""
        if not self._whole:
            raise Refused(400, "The body ends before its last boundary.", "Send the whole of it.")
        if not self._files:
            raise Refused(422, "The request has no file.", _HOW)
        return self._files

    def close(self) -> None:
        """Let go of parser and files: they know each other, and would stay in memory until Python looks for such."""
        self._parser, self._files, self._file = None, [], BytesIO()

    def _begin(self) -> None:
        self._disposition = b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD:
            raise Refused(422, f"There is no field {name[:40]!r}.", _HOW)
        if len(self._files) >= self._limits.files:
            raise Refused(413, f"A request may have {self._limits.files} images.", "Send the rest in another one.")
        given = options.get(b"filename", b"").decode("utf-8", "replace")[:_MOST_NAME]
        self._files.append(Upload(given or f"image-{len(self._files) + 1}"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._file.write(memoryview(data)[start:end])
        if self._file.tell() > self._limits.file_bytes:
            raise Refused(413, f"An image file may have {self._limits.file_mb:g} MB.", "Send a smaller copy.")

    def _close_file(self) -> None:
        self._files[-1].data = self._file.getvalue()
        self._file = BytesIO()

    def _end(self) -> None:
        self._whole = True
