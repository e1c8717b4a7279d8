"""Tables as they stand in their files: CSV, TSV or Parquet, in any encoding, all cells as text."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.data.walk import IMAGE_SUFFIXES
from core.errors import InputError
from core.wording import bytes_size, count

MAX_ROWS = 5_000_000
MAX_BYTES = 2**31
_DELIMITERS = ",\t;|"
_HEADER_BYTES = 2**16


@dataclass(frozen=True)
class Table:
    """A table as it stands in its file: all cells text, missing ones empty.

    Attributes:
        first_line: where the first row stands in the file, for messages.
        notes: sentences on how it was read, such as its encoding.
        refused: lines that are no rows, with the reason.
    """

    rows: pd.DataFrame
    first_line: int
    notes: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def read_table(path: Path) -> Table:
    """Read a CSV, TSV or Parquet file; delimiter, encoding and header are recognised.

    Raises:
        InputError: it is empty, too long, or not such a file.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {bytes_size(MAX_BYTES)}.", "Divide it into several datasets.")
        return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check the file.") from error


def column_names(path: Path) -> list[str]:
    """The columns of a table, from its start; none where it cannot be read."""
    try:
        if path.suffix.lower() == ".parquet":
            return [str(name) for name in pq.read_schema(path).names]
        with open(path, "rb") as stream:
            start = stream.read(_HEADER_BYTES)
        text = start.decode(_encoding(start), "replace")
        lines = [line for line in text.splitlines() if line.strip()]
        return _header(next(csv.reader(lines[:1], delimiter=_delimiter(lines[0]))))[0] if lines else []
    except (OSError, ValueError, csv.Error, pa.ArrowException):
        return []


def _read_parquet(path: Path) -> Table:
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_ROWS:
                raise InputError(_too_long(path), "Divide it into several datasets.")
            plain = [field.name for field in file.schema_arrow if not pa.types.is_nested(field.type)]
            frame = file.read(columns=list(dict.fromkeys(plain))).to_pandas()
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise InputError(f"{path} is no sound Parquet file ({error}).", "Write it again, or as CSV.") from error
    rows = pd.DataFrame({str(name): _as_text(frame[name]) for name in frame.columns}).astype("str")
    if rows.empty:
        raise InputError(f"{path} holds no rows.", "It needs one row an image: path and label.")
    return Table(rows, 1, (), ())


def _as_text(values: pd.Series) -> list[str]:
    if pd.api.types.is_float_dtype(values):  # whole numbers with gaps arrive as floats
        return ["" if pd.isna(v) else str(int(v)) if float(v).is_integer() else repr(float(v)) for v in values]
    return ["" if pd.isna(v) else v if isinstance(v, str) else _decoded(v) for v in values]


def _decoded(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class _Foreign:
    """Bytes that are no UTF-8, taken for Windows-1252, so that one odd line does not spoil the others; counted."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        self.number += 1
        return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


def _read_text(path: Path) -> Table:
    foreign = _Foreign()
    codecs.register_error("darkroom-foreign", foreign)
    with open(path, "rb") as stream:
        encoding = _encoding(stream.read(4096))
    refused: list[tuple[str, str]] = []
    with open(path, encoding=encoding, errors="darkroom-foreign", newline="") as stream:
        first = next((line for line in stream if line.strip()), "")
        if not first:
            raise InputError(f"{path} is empty.", "It needs one row an image: path and label.")
        stream.seek(0)
        lines = csv.reader(stream, delimiter=_delimiter(first))
        header, rows, first_line = _header_and_rows(path, lines, refused)
    notes = []
    if foreign.number:
        notes.append(
            f"{count(foreign.number, 'place')} in {path.name} are no {encoding}; they were read as Windows-1252."
        )
    elif encoding.startswith("utf-16"):
        notes.append(f"{path.name} was read as UTF-16.")
    if not rows:
        raise InputError(f"{path} holds no rows below its header.", "It needs one row an image: path and label.")
    return Table(pd.DataFrame(rows, columns=header, dtype="str"), first_line, tuple(notes), tuple(refused))


def _delimiter(first: str) -> str:
    """What divides the first line into the most cells; a comma where that is undecided."""
    return max(_DELIMITERS, key=lambda mark: (len(next(csv.reader([first], delimiter=mark))), mark == ","))


def _header(cells: list[str]) -> tuple[list[str], bool]:
    """Column names, none empty and no two the same; and whether the cells are a header, not a row already."""
    if any(os.path.splitext(cell.strip())[1].lower() in IMAGE_SUFFIXES for cell in cells):
        return [f"column {number}" for number in range(1, len(cells) + 1)], False
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column {number}"
        names.append(name if name not in names else f"{name} ({number})")
    return names, True


def _header_and_rows(
    path: Path, lines: Iterator[list[str]], refused: list[tuple[str, str]]
) -> tuple[list[str], list[list[str]], int]:
    """Column names, rows of as many cells each (refused ones as empty cells, so that places tell lines), first line."""
    try:
        first = next((cells for cells in lines if any(cell.strip() for cell in cells)), [])
        if not first:
            raise InputError(f"{path} is empty.", "It needs one row an image: path and label.")
        header, is_header = _header(first)
        rows = [] if is_header else [first]
        first_line, width = 2 if is_header else 1, len(header)
        for cells in lines:
            if len(cells) == width:
                rows.append(cells)
            elif any(cell.strip() for cell in cells):
                line = first_line + len(rows)
                rows.append([])
                if len(cells) < width:
                    reason = f"It has {count(len(cells), 'cell')} where the header has {width}."
                elif any(cell.strip() for cell in cells[width:]):
                    reason = f"It has {len(cells)} cells where the header has {width}."
                else:
                    rows[-1] = cells[:width]
                    continue
                refused.append((f"line {line}: {printable(cells[0])}", reason))
                rows[-1] = [""] * width
            else:
                rows.append([""] * width)
            if len(rows) > MAX_ROWS:
                raise InputError(_too_long(path), "Divide it into several datasets.")
    except csv.Error as error:
        raise InputError(
            f"{path} is no sound table: {error}.", "Look for a quotation mark that is not closed."
        ) from error
    return header, rows, first_line


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    even, odd = start[0:400:2].count(0), start[1:400:2].count(0)
    if max(even, odd) > len(start[:400]) // 4 and min(even, odd) == 0:  # Latin letters without a mark before them
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8"


def printable(text: str) -> str:
    """Up to 200 characters that any screen can show."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()[:200]


def _too_long(path: Path) -> str:
    return f"{path} has more than {MAX_ROWS:,} rows."
