"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DarkroomError, DiskFull

if TYPE_CHECKING:  # the processes that read images come without it
    import pandas as pd

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_bytes(path: Path, data: bytes, durable: bool = True) -> None:
    """Write `data` to a temporary file beside `path`, flush it to disk, then rename it over `path`.

    Args:
        durable: wait until the disk has it. Not for what is soon written again: on a busy disk that takes seconds.

    Raises:
        DarkroomError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    import tempfile  # a tenth of what answering `index` at once takes, which writes nothing

    aside: Path | None = None
    try:
        with writing(path):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            aside = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            os.chmod(aside, 0o644)  # mkstemp's 0600 would hide the file from other users of a shared workspace
            os.replace(aside, path)
            aside = None
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any OSError inside into words about writing `path`; see `write_failure`."""
    try:
        yield
    except OSError as error:
        raise write_failure(path, error) from error


def write_failure(path: Path, error: OSError) -> DarkroomError:
    """The words for an OSError met while writing `path`."""
    if error.errno in _DISK_FULL:
        return DiskFull(
            f"The disk is full: {path.name} could not be written to {path.parent}; what was there before is intact.",
            "Free some space or set DARKROOM_HOME to another disk, then resume.",
        )
    return DarkroomError(f"{path} could not be written: {error.strerror or error}.", "Check the folder's permissions.")


def write_json(path: Path, value: Any, durable: bool = True, indent: int | None = 1) -> None:
    """Replace `path` by `value` as JSON in one step (see `write_bytes`).

    Args:
        indent: None for what is too large to be read by people: on one line it is half as long and written much faster.
    """
    write_bytes(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False).encode(), durable)


def read_json(path: Path) -> Any | None:
    """The JSON value in `path`, or None where there is no such file.

    Raises:
        DarkroomError: the file is not JSON.
    """
    import orjson  # see `core.data.unchanged`

    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DarkroomError(f"{path} is not readable JSON ({error}).", "Restore or delete that file.") from error


def append_jsonl(path: Path, row: dict[str, Any]) -> None:
    """Add one object as one line; a reader never takes an unfinished line for a whole one."""
    line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
    with writing(path), open(path, "ab") as stream:
        stream.write(line)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a JSON-lines file; an unfinished last line is left for the next look."""
    import orjson

    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = [line for line in text[: text.rfind(b"\n") + 1].splitlines() if line.strip()]
    return [orjson.loads(line) for line in lines]


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV that a spreadsheet can be trusted with.

    With a byte-order mark, which lets spreadsheets read names in any script. Text that a spreadsheet would compute,
    such as a class called `=1+1`, gets an apostrophe before it, which spreadsheets take for "this is text"; where
    Darkroom reads a CSV it takes the apostrophe off again. Numbers stay as they are.
    """
    safe = table.rename(columns=_defused)
    for place, kind in enumerate(table.dtypes):
        if kind.kind not in "biufcmM":  # text, categories of text, or anything
            safe.isetitem(place, table.iloc[:, place].map(_defused, na_action="ignore"))
    return safe.to_csv(index=False).encode("utf-8-sig")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Replace `path` by the table in one step; see `csv_bytes` and `write_bytes`."""
    write_bytes(path, csv_bytes(table))


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def tail_text(path: Path, num_bytes: int = 6000) -> str:
    """The end of a log, from a line's start; an empty string where there is no file."""
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - num_bytes))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return text if size <= num_bytes else text[text.find("\n") + 1 :]


def slug(text: str) -> str:
    """A short name safe in a path and a URL: lower-case letters, digits and dashes, at most 40 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "unnamed"


def last_used(path: Path) -> float:
    """When a file or folder of a cache was last changed or touched, seconds since 1970; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
