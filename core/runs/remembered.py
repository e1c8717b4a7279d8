"""Rows of the table of runs kept on disk, so that a server that has just started need not read hundreds of folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson

from core.config import knobs
from core.errors import DarkroomError
from core.files import read_json, write_bytes
from core.workspace import Workspace

MANY = 20  # rows read from their folders from which on keeping them is worth the writing
Stamps = tuple[tuple[int, int, int] | None, ...]  # of a run's folder and files; they change when a row does
Rows = dict[str, tuple[Stamps, dict[str, Any]]]  # by folder
_FILE = "run-rows.json"


def recall(workspace: Workspace) -> Rows:
    """The rows kept last; none where they were made by other code, or are damaged."""
    try:
        kept = read_json(workspace.cache / _FILE) or {}
        if kept.get("made_by") != _made_by():
            return {}
        return {
            path: (tuple(None if one is None else tuple(one) for one in stamps), row | {"tags": tuple(row["tags"])})
            for path, stamps, row in kept["rows"]
        }
    except (DarkroomError, AttributeError, KeyError, TypeError, ValueError):
        return {}


def remember(workspace: Workspace, rows: Rows) -> None:
    """Keep rows for the next process; a disk that does not take them is no fault of the list's."""
    kept = {"made_by": _made_by(), "rows": [[path, stamps, row] for path, (stamps, row) in rows.items()]}
    try:
        write_bytes(workspace.cache / _FILE, orjson.dumps(kept), durable=False)
    except DarkroomError:
        pass


def _made_by() -> str:
    """Changes with the code that makes the rows and with the settings that there are."""
    code = [(path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(Path(__file__).parent.glob("*.py"))]
    settings = [(knob.path, knob.default, knob.allowed) for knob in knobs()]
    return hashlib.blake2b(repr((code, settings)).encode(), digest_size=8).hexdigest()
