"""Finished thumbnails, kept in one SQLite file: creating a file for each takes longer than making the thumbnail.

What is stored together lies together in one row, a pack: rows of their own took as long as a twelfth of all reading.
A cache: what cannot be kept or read is made again when it is asked for, so nothing here raises.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import accumulate

_PATIENCE_S = 10.0  # for another process that is writing
_NAME = "packs.sqlite"
_EARLIER = "thumbnails.sqlite"  # of earlier versions, a row a thumbnail
_PAGE = 16_384  # bytes; a pack is some ten pages


class Keeper:
    """Keeps thumbnails of one size, many at a time; for a process that makes them one after the other."""

    def __init__(self, folder: str | os.PathLike[str], size: int) -> None:
        self._folder, self._table = folder, f"px{size}"
        self._waiting: dict[int, bytes] = {}
        self._database: sqlite3.Connection | None = None  # left open: opening takes longer than storing

    def add(self, content_hash: str, data: bytes) -> None:
        """Keep `data` at the next `flush`."""
        self._waiting[_key(content_hash)] = data

    def flush(self) -> None:
        """Store what was added."""
        if self._waiting:
            database, self._database = self._database, None
            with _forgiving(self._folder):
                database = database or _opened(self._folder)
                self._store(database)
                self._database = database  # not after a failure, which may have left it in a transaction
            self._waiting = {}

    def _store(self, database: sqlite3.Connection) -> None:
        database.execute("CREATE TABLE IF NOT EXISTS packs (id INTEGER PRIMARY KEY, jpegs BLOB)")
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (hash INTEGER PRIMARY KEY, pack INTEGER, start INTEGER, "
            "length INTEGER)"
        )
        database.execute("BEGIN IMMEDIATE")
        marks = ", ".join("?" * len(self._waiting))
        stored = set(database.execute(f"SELECT hash FROM {self._table} WHERE hash IN ({marks})", list(self._waiting)))
        new = {key: data for key, data in self._waiting.items() if (key,) not in stored}
        if new:
            pack = database.execute("INSERT INTO packs (jpegs) VALUES (?)", (b"".join(new.values()),)).lastrowid
            ends = accumulate(map(len, new.values()))
            places = [(key, pack, end - len(new[key]), len(new[key])) for key, end in zip(new, ends, strict=True)]
            database.executemany(f"INSERT INTO {self._table} VALUES (?, ?, ?, ?)", places)
        database.execute("COMMIT")


def keep(folder: str | os.PathLike[str], content_hash: str, size: int, data: bytes) -> None:
    """Keep one thumbnail."""
    keeper = Keeper(folder, size)
    keeper.add(content_hash, data)
    keeper.flush()


def kept(folder: str | os.PathLike[str], content_hash: str, size: int) -> bytes | None:
    """A kept thumbnail; None where there is none."""
    if os.path.exists(_path(folder)):
        with _forgiving(folder), closing(_opened(folder)) as database:
            row = database.execute(
                f"SELECT substr(jpegs, start + 1, length) FROM px{size} JOIN packs ON id = pack WHERE hash = ?",
                (_key(content_hash),),
            ).fetchone()
            return row[0] if row else None
    return None


@contextmanager
def _forgiving(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Passes over the store's failures; a damaged store is thrown away."""
    try:
        yield
    except sqlite3.OperationalError:  # a full disk, a folder that may not be written, a table not made yet
        pass
    except sqlite3.DatabaseError:
        _remove(folder, _NAME)


def _remove(folder: str | os.PathLike[str], name: str) -> None:
    for ending in ("", "-wal", "-shm"):
        with suppress(OSError):
            os.unlink(f"{os.fspath(folder)}/{name}{ending}")


def _opened(folder: str | os.PathLike[str]) -> sqlite3.Connection:
    if not os.path.exists(_path(folder)):
        _remove(folder, _EARLIER)
    database = sqlite3.connect(_path(folder), timeout=_PATIENCE_S, isolation_level=None)
    database.execute(f"PRAGMA page_size = {_PAGE}")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")  # a power failure may damage it, and that is no loss
    return database


def _path(folder: str | os.PathLike[str]) -> str:
    return f"{os.fspath(folder)}/{_NAME}"


def _key(content_hash: str) -> int:
    """SQLite's whole numbers are signed."""
    return int.from_bytes(bytes.fromhex(content_hash), "big", signed=True)
