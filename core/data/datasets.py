"""Datasets as the rest of Darkroom sees them: list, open, index at once, or look first and then keep."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from core.data.builtin import ensure_builtin
from core.data.index import IndexingStopped, Progress, index_into
from core.data.intake import open_source, take_in
from core.data.pending import accept, discard, look_at, pending
from core.data.sources import Reading
from core.data.stored import (
    Dataset,
    checked_name,
    damaged_datasets,
    dataset_id,
    list_datasets,
    open_dataset,
    publish,
    read_described,
)
from core.data.walk import IntakeStopped
from core.workspace import Workspace

__all__ = [
    "Dataset",
    "Reading",
    "accept",
    "damaged_datasets",
    "dataset_id",
    "discard",
    "ensure_builtin",
    "index_path",
    "list_datasets",
    "look_at",
    "open_dataset",
    "pending",
]


def index_path(
    ws: Workspace,
    path: str | Path,
    name: str | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    reading: Reading | None = None,
) -> Dataset:
    """Index a folder, table, archive or downloadable set and store the dataset at once.

    Indexing again reads only files that changed.

    Args:
        reading: how to read it; if None, as it was read before, else as recognised.
        name: what to call it; if None, what it was called before, or the folder's own name.
        on_progress: told now and then how many files are done, and how many there are.

    Raises:
        InputError: it cannot be a dataset, with what to change.
        core.data.index.IndexingStopped: `should_stop` said so; nothing was stored.
    """
    name = checked_name(name)
    source = open_source(path)
    stored = ws.dataset(source.identity)
    stopping = should_stop or (lambda: False)
    aside = ws.datasets / f".{source.identity}.{uuid.uuid4().hex}"
    try:
        before = read_described(stored)
        reading = reading or Reading.from_dict(before.reading if before else None)
        recognised = take_in(source, reading, aside, None, ws.downloads, lambda *progress: None, stopping)
        index_into(aside, recognised, stored, on_progress, should_stop, source.identity, source.name, ws)
        return publish(ws, aside, name)
    except IntakeStopped as stopped:
        raise IndexingStopped(str(stopped)) from stopped
    finally:
        shutil.rmtree(aside, ignore_errors=True)
