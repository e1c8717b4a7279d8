"""What an indexing that has not ended has found so far, kept so that the next one goes on there.

Small Parquet tables in one folder a dataset, written every five seconds. They only save time: where they cannot be
written or read, indexing goes on without them.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from core.data.checks import MEASURES_VERSION
from core.data.manifest import COLUMNS
from core.data.probe import FIELDS, Facts

FOUND = ["path", *FIELDS, "measured_by"]  # columns of these tables
_EVERY_S = 5.0


class Checkpoint:
    """Collects facts as compact tables, and keeps them on disk as well."""

    def __init__(self, folder: Path | None) -> None:
        """Args: folder: None where nothing is to be kept."""
        self._folder = folder
        self._blocks: list[pd.DataFrame] = []
        self._paths: list[str] = []
        self._rows: list[tuple[object, ...]] = []
        self._written = time.monotonic()

    def add(self, paths: Sequence[str], facts: Sequence[Facts]) -> None:
        """Take what was found of some files."""
        self._paths += paths
        self._rows += [one.row() for one in facts]
        if time.monotonic() - self._written >= _EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Put what was added since into a table and onto disk."""
        if self._paths:
            block = facts_table(self._paths, self._rows)
            self._paths, self._rows = [], []
            self._blocks.append(block)
            self._write(block)
        self._written = time.monotonic()

    def table(self) -> pd.DataFrame:
        """All that was added: the columns of `FOUND`."""
        block = facts_table(self._paths, self._rows)
        return pd.concat([*self._blocks, block], ignore_index=True)

    def earlier(self) -> pd.DataFrame | None:
        """What indexing that was stopped or killed has left here; the same path may occur more than once."""
        blocks = []
        for place in sorted(self._folder.glob("*.parquet")) if self._folder and self._folder.is_dir() else []:
            with suppress(OSError, ValueError, KeyError):  # half written: pyarrow's own errors are ValueErrors
                blocks.append(typed(pd.read_parquet(place, columns=FOUND)))
        return pd.concat(blocks, ignore_index=True) if blocks else None

    def remove(self) -> None:
        """The index is complete."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, block: pd.DataFrame) -> None:
        if not self._folder:
            return
        aside = self._folder / f"{uuid.uuid4().hex}.tmp"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            block.to_parquet(aside, index=False, compression="zstd")
            os.replace(aside, aside.with_suffix(".parquet"))


def facts_table(paths: Sequence[str], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """One row a file, in the manifest's types."""
    values = zip(*rows, strict=True) if rows else ((),) * len(FIELDS)
    columns = dict(zip(FIELDS, values, strict=True)) | {"path": paths, "measured_by": [MEASURES_VERSION] * len(paths)}
    # Column by column, as a table that finds out the types of its rows itself takes twice as long.
    return pd.DataFrame({name: pd.Series(columns[name], dtype=COLUMNS[name]) for name in COLUMNS if name in columns})


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The manifest's columns that are there, in its order and types."""
    kinds = {name: kind for name, kind in COLUMNS.items() if name in frame}
    return frame[list(kinds)].astype({name: kind for name, kind in kinds.items() if frame[name].dtype != kind})
