"""Datasets as the rest of Darkroom sees them: list, open, index at once, or look first and then keep."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from core.data.builtin import ensure_builtin
from core.data.index import Progress, index_into
from core.data.pending import accept, discard, look_at, pending
from core.data.sources import resolve_root
from core.data.stored import Dataset, checked_name, damaged_datasets, dataset_id, list_datasets, open_dataset, publish
from core.workspace import Workspace

__all__ = [
    "Dataset",
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
) -> Dataset:
    """Index a folder and store the dataset at once; indexing again reads only files that changed.

    Args:
        name: what to call it; if None, what it was called before, or the folder's own name.
        on_progress: told now and then how many files are done, and how many there are.

    Raises:
        InputError: the folder cannot be a dataset, with what to change.
        core.data.index.IndexingStopped: `should_stop` said so; nothing was stored.
    """
    name = checked_name(name)
    root = resolve_root(path)
    identity = dataset_id(root)
    aside = ws.datasets / f".{identity}.{uuid.uuid4().hex}"
    try:
        index_into(aside, root, ws.dataset(identity), on_progress, should_stop)
        return publish(ws, aside, name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
