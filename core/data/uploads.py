"""Files the browser sends straight to disk: by a ticket for one file, counted while they come, gone when used."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path, PurePosixPath
from typing import IO

from core.data.sources import ARCHIVE_ENDINGS, is_archive
from core.data.walk import is_text
from core.errors import InputError
from core.files import write_json, writing
from core.wording import bytes_size
from core.workspace import Workspace

MAX_BYTES = 50 * 10**9
_KEEP_FREE = 2**29  # bytes of the disk
_FORGET_AFTER_S = 86_400.0
_TICKET = re.compile(r"[A-Za-z0-9_-]{43}")
_NOTE, _PART = "ticket.json", "part"


def issue_ticket(ws: Workspace) -> str:
    """A secret that allows to send one file; tickets and files a day old are forgotten."""
    for old in ws.uploads.iterdir():
        if time.time() - old.stat().st_mtime > _FORGET_AFTER_S:
            shutil.rmtree(old, ignore_errors=True)
    ticket = secrets.token_urlsafe(32)
    folder = ws.uploads / ticket
    with writing(folder):
        folder.mkdir()
    write_json(folder / _NOTE, {"created": time.time()})
    return ticket


class Receiver:
    """Writes one upload to disk piece by piece; use as a context manager, and call `finish` when all has come."""

    def __init__(self, ws: Workspace, ticket: str, name: str, num_bytes: int | None) -> None:
        """Raises `InputError` where the ticket, the file's name or its size is not accepted.

        Args:
            num_bytes: the size the browser announces; None where it does not.
        """
        folder = ws.uploads / ticket
        if not _TICKET.fullmatch(ticket) or not (folder / _NOTE).is_file():
            raise InputError("This upload is not expected.", "Open the page again and choose the file there.")
        self.target = folder / checked_name(name)
        self._room = min(MAX_BYTES, shutil.disk_usage(folder).free - _KEEP_FREE)
        self._part, self._received = folder / _PART, 0
        self._check(num_bytes or 0)
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> Receiver:
        with writing(self._part):
            self._stream = open(self._part, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stream is not None
        self._stream.close()
        self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Take the next piece. Raises `InputError` where it has become too much, `DarkroomError` for a full disk."""
        assert self._stream is not None
        self._received += len(data)
        self._check(self._received)
        with writing(self._part):
            self._stream.write(data)

    def finish(self) -> None:
        """All has come: the file has its name from now on."""
        assert self._stream is not None
        with writing(self.target):
            self._stream.flush()
            os.replace(self._part, self.target)

    def _check(self, num_bytes: int) -> None:
        if num_bytes > self._room:
            raise InputError(
                f"The file is larger than the {bytes_size(max(0, self._room))} that can be taken.",
                "Copy it to the machine Darkroom runs on and give its path.",
            )


def checked_name(name: str) -> str:
    """A file's name as the browser tells it, made safe.

    Raises:
        InputError: it is no archive's.
    """
    plain = PurePosixPath(name.replace("\\", "/")).name
    if not plain or plain.startswith(".") or "\0" in plain or not is_text(plain) or len(plain.encode()) > 200:
        raise InputError(f"{name[:80]!a} is not the name of a file that can be taken.", "Rename it.")
    if not is_archive(Path(plain)):
        raise InputError(f"{plain[:80]!r} is no archive.", f"Send one that ends in {', '.join(ARCHIVE_ENDINGS)}.")
    return plain


def uploaded(ws: Workspace, ticket: str) -> Path:
    """The file sent with a ticket.

    Raises:
        InputError: there is none.
    """
    folder = ws.uploads / ticket
    files = [] if not _TICKET.fullmatch(ticket) or not folder.is_dir() else list(folder.iterdir())
    found = next((file for file in files if file.name not in (_NOTE, _PART)), None)
    if found is None:
        raise InputError("The upload did not arrive.", "Choose the file again.")
    return found


def is_upload(ws: Workspace, path: Path) -> bool:
    """Whether a file was sent by a browser."""
    return path.parent.parent == ws.uploads


def forget_upload(ws: Workspace, path: str | None) -> None:
    """Delete an upload that has been unpacked; any other path is left alone."""
    if path and is_upload(ws, Path(path)):
        shutil.rmtree(Path(path).parent, ignore_errors=True)
