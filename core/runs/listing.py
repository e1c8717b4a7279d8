"""All runs as one table, a row each: what the list, comparisons and sweeps choose from. Read anew only what changed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from core import jobs
from core.config import flatten, knobs
from core.errors import DarkroomError
from core.files import read_json
from core.runs.about import About, read_about
from core.runs.remembered import MANY, Rows, Stamps, recall, remember
from core.runs.store import CONFIG, METRICS, TIMES, Run
from core.workspace import Workspace

SWEEP = "sweep:"  # begins the tag of a sweep's trials
_Stamp = tuple[int, int, int]
BLOCK = 512  # bytes in a unit of `st_blocks`, on any file system
# What a stamp is of: all files but these are replaced whenever they change, and with that the folder changes.
_STAMPED = ("", jobs.STATUS, METRICS)
_SETTLED_NS = 100_000_000  # a change within this of another may have left the same time on the folder

# What every row has, in this order, before the knobs; each column's kind as pandas keeps it.
COLUMNS: dict[str, str] = {
    "id": "object",
    "name": "object",
    "state": "object",
    "held": "bool",
    "message": "object",
    "phase": "object",
    "done": "float",
    "error": "object",
    "damage": "object",
    "pid": "float",
    "created": "float",
    "dataset": "object",
    "dataset_fingerprint": "object",
    "num_edits": "float",
    "architecture": "object",
    "tags": "object",
    "note": "object",
    "favourite": "bool",
    "archived": "bool",
    "sweep": "object",
    "test_accuracy": "float",
    "test_accuracy_low": "float",
    "test_accuracy_high": "float",
    "val_accuracy": "float",
    "test_loss": "float",
    "macro_f1": "float",
    "num_test": "float",
    "best_val_loss": "float",
    "best_val_accuracy": "float",
    "epochs_done": "float",
    "seconds": "float",
    "bytes": "float",
}

_kept: Rows = {}
_recalled: set[str] = set()  # workspaces whose rows on disk were looked at
_table: dict[str, tuple[list[Any], pd.DataFrame]] = {}  # by workspace
_reading = threading.Lock()


def run_table(workspace: Workspace) -> pd.DataFrame:
    """One row a run, newest first.

    Columns: those of `COLUMNS`, then every knob as `group.field`.
        id; name, empty where nobody gave one; state as `Run.status` derives it; held: waits but may not begin; message;
        phase and done, the share of it, 0..1; error: the class of a failure, else empty; damage: what of its files
        cannot be read, else empty; pid: of a process at work; created: seconds since the epoch; dataset: its id;
        dataset_fingerprint; num_edits; architecture; tags: a tuple; note; favourite; archived; sweep: its study, else
        empty. Of the report test_accuracy with its 95 % interval's low and high, val_accuracy and macro_f1 (0..1),
        test_loss (nats), num_test (images). Of its epochs best_val_loss (nats), best_val_accuracy (0..1) and
        epochs_done. seconds it computed. bytes on disk. A figure that is not there is NaN; knobs of a run whose
        settings are damaged are None.

    The frame is shared between callers through pandas' copy-on-write: change a column by `assign`.
    """
    home = workspace.runs
    with _reading:
        if str(workspace.root) not in _recalled:
            _recalled.add(str(workspace.root))
            _kept.update(recall(workspace))
        fresh = list[str]()
        with os.scandir(home) as entries:
            rows = [row for entry in entries if (row := _row(entry, fresh))]
        there = {f"{home}/{row['id']}" for row in rows}
        for gone in [path for path in _kept if path not in there and Path(path).parent == home]:
            del _kept[gone]
        if len(fresh) >= MANY:
            remember(workspace, {path: kept for path, kept in _kept.items() if path in there and _stays(kept)})
        rows.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
        before = _table.get(str(workspace.root))
        if before is not None and before[0] == rows:
            return before[1].copy(deep=False)
        frame = _frame(rows)
        _table[str(workspace.root)] = rows, frame
    return frame.copy(deep=False)


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns: dict[str, pd.Series] = {}
    for name, kind in COLUMNS.items():
        columns[name] = pd.Series([row[name] for row in rows], dtype=kind)
    for knob in knobs():
        columns[knob.path] = pd.Series([row["knobs"].get(knob.path) for row in rows], dtype="object")
    return pd.DataFrame(columns)


def _row(entry: os.DirEntry[str], fresh: list[str]) -> dict[str, Any] | None:
    """The run in a folder; None where it is none, or was deleted meanwhile. Adds to `fresh` where it had to be read."""
    stamps = tuple(_stamp(f"{entry.path}/{name}" if name else entry.path) for name in _STAMPED)
    kept = _kept.get(entry.path)
    if kept is None or kept[0] != stamps:
        if _stamp(f"{entry.path}/{CONFIG}") is None:
            return None
        is_settled = stamps[0] is not None and time.time_ns() - stamps[0][0] > _SETTLED_NS
        kept = stamps if is_settled else (), _read(Run(entry.name, Path(entry.path)))
        _kept[entry.path] = kept
        fresh.append(entry.path)
    row = kept[1]
    # What has ended says so in its file; of the rest only the process table knows.
    return row if row["state"] in jobs.ENDED else row | _state(Path(entry.path), row["damage"])


def _stays(kept: tuple[Stamps, dict[str, Any]]) -> bool:
    """Whether a row says the same in another process: it has settled, and the run has ended by its own word."""
    return bool(kept[0]) and kept[1]["state"] in jobs.ENDED - {"lost"}


def _read(run: Run) -> dict[str, Any]:
    """All that stands in the run's files."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | asdict(About()) | {"id": run.id, "knobs": {}, "sweep": ""}
    problems = []
    for part in (_settings, _about, _report, _epochs):
        try:
            row |= part(run)
        except (DarkroomError, ValueError, TypeError, AttributeError, KeyError, OSError) as error:
            problems.append(str(error))
    damage = " ".join(problems)
    return row | {"damage": damage, "bytes": folder_bytes(run.folder)} | _state(run.folder, damage)


def _state(folder: Path, damage: str) -> dict[str, Any]:
    status = jobs.read_status(folder)
    return {
        "state": status.state,
        "held": bool(status.extra.get("held")),
        "message": f"{status.message} {damage}".strip(),
        "phase": status.phase,
        "done": min(1.0, status.done / status.total) if status.total else None,
        "error": status.extra.get("error") or "",
        "pid": None if status.ended else status.pid,
        "created": status.created,
    }


def _settings(run: Run) -> dict[str, Any]:
    config, data = run.config, run.data()
    return {
        "knobs": flatten(config),
        "dataset": config.data.dataset,
        "architecture": config.model.architecture,
        "dataset_fingerprint": data.get("dataset_fingerprint"),
        "num_edits": data.get("num_edits"),
    }


def _about(run: Run) -> dict[str, Any]:
    about = read_about(run)
    sweeps = [tag.removeprefix(SWEEP) for tag in about.tags if tag.startswith(SWEEP)]
    return asdict(about) | {"sweep": sweeps[0] if sweeps else ""}


def _report(run: Run) -> dict[str, Any]:
    report = run.report() or {}
    low, high = report.get("test_accuracy_interval") or (None, None)
    same = ("test_accuracy", "val_accuracy", "test_loss", "macro_f1", "num_test")
    return {name: report.get(name) for name in same} | {"test_accuracy_low": low, "test_accuracy_high": high}


def _epochs(run: Run) -> dict[str, Any]:
    epochs = run.metrics()
    times = read_json(run.folder / TIMES) or {}
    losses = [row["val_loss"] for row in epochs if row.get("val_loss") is not None]
    accuracies = [row["val_accuracy"] for row in epochs if row.get("val_accuracy") is not None]
    learning = sum(row.get("seconds") or 0.0 for row in epochs)
    return {
        "best_val_loss": min(losses, default=None),
        "best_val_accuracy": max(accuracies, default=None),
        "epochs_done": len(epochs),
        # A resumed run's times are those of its last process, its epochs are all there.
        "seconds": max(sum(times.values()), learning) or None,
    }


def folder_bytes(folder: Path) -> int:
    """What a folder takes on disk, in bytes as the system counts them; files that vanish meanwhile count nothing."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_blocks * BLOCK
    except OSError:  # gone, or somebody else's
        pass
    return total


def _stamp(path: str) -> _Stamp | None:
    """Changes whenever the file does, as every writer replaces it or adds to it; None where there is none."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def for_csv(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a spreadsheet takes it: times in words (UTC), tags on one line."""
    created = pd.to_datetime(table["created"], unit="s", utc=True).dt.strftime("%Y-%m-%d %H:%M:%S")
    return table.assign(created=created, tags=table["tags"].map(", ".join))
