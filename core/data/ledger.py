"""The corrections made to a dataset: an append-only list beside the manifest, and the table they amount to.

Here they are read and applied; `core.data.edits` makes them. An edit holds for a path and the content the file had
then, so that it neither follows another image nor survives the file's replacement.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from core.errors import DarkroomError
from core.files import writing

LEDGER = "edits.jsonl"
Action = Literal["relabel", "exclude", "restore"]
_CORRECTED = ["path", "content_hash", "label", "excluded"]


@dataclass(frozen=True)
class Edit:
    """One correction of one or more images.

    Attributes:
        id: counts up within a dataset; undoing and redoing take numbers too.
        at: seconds since the epoch.
        files: (path, content hash at that time) of each image.
        label: the new class of a relabelling, else None.
        reason: what the user gave as reason; may be empty.
        undone: whether it is undone at present.
        num_stale: files that are gone or changed since, to which it does not apply any more; see `history`.
    """

    id: int
    at: float
    action: Action
    files: tuple[tuple[str, str], ...]
    label: str | None = None
    reason: str = ""
    undone: bool = False
    num_stale: int = 0

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.files]


@dataclass(frozen=True)
class Ledger:
    """All edits ever made, in order.

    Attributes:
        done: ids of the edits in force, oldest first; the last is what undo takes back.
        undone: ids that redo would bring back, the next one last.
        last_id: the highest number given so far.
        size: bytes of the whole lines these were read from.
    """

    edits: tuple[Edit, ...] = ()
    done: tuple[int, ...] = ()
    undone: tuple[int, ...] = ()
    last_id: int = 0
    size: int = 0

    def edit(self, number: int) -> Edit:
        return next(edit for edit in reversed(self.edits) if edit.id == number)


def read_ledger(folder: Path, size: int | None = None) -> Ledger:
    """The edits of the dataset in `folder`; an unfinished last line is no edit.

    Args:
        size: look at this many bytes only, which gives the ledger as it was when it was so long.

    Raises:
        DarkroomError: a line is damaged.
    """
    path = folder / LEDGER
    try:
        text = path.read_bytes()[:size]
    except FileNotFoundError:
        return Ledger()
    whole = text.rfind(b"\n") + 1
    edits: dict[int, Edit] = {}
    done: list[int] = []
    undone: list[int] = []
    last_id = 0
    for number, line in enumerate(text[:whole].splitlines(), 1):
        try:
            row = json.loads(line)
            last_id = max(last_id, row["id"])
            if row["action"] == "undo":
                done.remove(row["of"])
                undone.append(row["of"])
            elif row["action"] == "redo":
                undone.remove(row["of"])
                done.append(row["of"])
            else:
                edits[row["id"]] = _edit(row)
                done.append(row["id"])
                undone.clear()
        except (ValueError, KeyError, TypeError) as error:
            raise DarkroomError(
                f"Line {number} of the list of corrections {path} is damaged ({error!r}).",
                "Restore the file, or delete that line.",
            ) from error
    in_force = set(done)
    marked = tuple(edit if edit.id in in_force else replace(edit, undone=True) for edit in edits.values())
    return Ledger(marked, tuple(done), tuple(undone), last_id, whole)


def ledger_size(folder: Path) -> int:
    """Bytes of the ledger in `folder`, an unfinished last line included; 0 where there is none."""
    try:
        return os.stat(folder / LEDGER).st_size
    except FileNotFoundError:
        return 0


def append(folder: Path, ledger: Ledger, row: dict[str, Any]) -> None:
    """Add one line to the ledger just read, and wait until the disk has it. Call with the `lock` held.

    What a killed process left unfinished behind the whole lines is cut off first.
    """
    line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
    path = folder / LEDGER
    with writing(path), open(path, "ab") as stream:
        stream.truncate(ledger.size)
        try:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError:
            os.truncate(path, ledger.size)  # a full disk: no half line stays
            raise


def lock(folder: Path) -> FileLock:
    """Whoever changes the files of the dataset in `folder` holds this."""
    return FileLock(folder / ".lock")


def corrections(ledger: Ledger) -> pd.DataFrame:
    """What the edits in force amount to, one row a file: path, content_hash, label, excluded.

    `label` is missing where it was not changed.
    """
    labels: dict[tuple[str, str], str] = {}
    excluded: dict[tuple[str, str], bool] = {}
    in_force = {number: place for place, number in enumerate(ledger.done)}
    for edit in sorted((one for one in ledger.edits if one.id in in_force), key=lambda one: in_force[one.id]):
        if edit.action == "relabel":
            assert edit.label is not None
            labels.update(dict.fromkeys(edit.files, edit.label))
        else:
            excluded.update(dict.fromkeys(edit.files, edit.action == "exclude"))
    files = list(dict.fromkeys([*labels, *excluded]))
    table = {
        "path": [path for path, _ in files],
        "content_hash": [content for _, content in files],
        "label": [labels.get(file) for file in files],
        "excluded": [excluded.get(file, False) for file in files],
    }
    return pd.DataFrame(table).astype({name: "bool" if name == "excluded" else "str" for name in _CORRECTED})


def apply_corrections(indexed: pd.DataFrame, corrected: pd.DataFrame) -> pd.DataFrame:
    """The manifest as the user corrected it: `label`, `excluded` and what follows from them; `indexed` stays as it is.

    Args:
        indexed: the table as indexed, or those of its columns one needs; path, content_hash, label and excluded at
            least.
        corrected: see `corrections`.
    """
    places, rows = _meeting(indexed, corrected)
    if not len(places):
        return indexed
    labels, excluded = indexed["label"].copy(), indexed["excluded"].to_numpy(copy=True)
    relabelled = rows["label"].notna().to_numpy()
    labels.iloc[places[relabelled]] = rows["label"].to_numpy()[relabelled]
    excluded[places] = rows["excluded"].to_numpy()
    frame = indexed.assign(label=labels, excluded=excluded)
    if {"near_group", "duplicate_group", "label_conflict_score"} <= set(frame):
        frame = _conflicts_anew(frame, places)
    return frame


def changed_rows(indexed: pd.DataFrame, effective: pd.DataFrame) -> pd.DataFrame:
    """The rows of `effective` that differ from the table as indexed, which corrections were applied to."""
    differs = (indexed["label"].to_numpy() != effective["label"].to_numpy()) | (
        indexed["excluded"].to_numpy() != effective["excluded"].to_numpy()
    )
    return effective[differs]


def corrected_fingerprint(indexed: str, changed: pd.DataFrame) -> str:
    """The indexed table's fingerprint where nothing differs from it, else 16 digits of it and what does."""
    if changed.empty:
        return indexed
    digest = hashlib.blake2b(indexed.encode(), digest_size=8)
    for row in sorted(zip(*(changed[name].tolist() for name in _CORRECTED), strict=True)):
        digest.update("\0".join(map(str, row)).encode() + b"\0\0")
    return digest.hexdigest()


def num_stale(files: Sequence[tuple[str, str]], contents: dict[str, str]) -> int:
    """How many of an edit's files have another content now, or are gone; `contents` is path -> content hash."""
    return sum(contents.get(path) != content for path, content in files)


def _edit(row: dict[str, Any]) -> Edit:
    files = tuple((str(path), str(content)) for path, content in row["files"])
    if row["action"] not in ("relabel", "exclude", "restore") or (row["action"] == "relabel" and not row["label"]):
        raise ValueError(f"unknown action {row['action']!r} or no label")
    return Edit(int(row["id"]), float(row["at"]), row["action"], files, row.get("label"), row.get("reason") or "")


def _meeting(indexed: pd.DataFrame, corrected: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Where files that were corrected are in the table, and their corrections in that order."""
    if corrected.empty:
        return np.array([], np.int64), corrected
    paths, wanted = (pa.array(table["path"], pa.large_string()) for table in (indexed, corrected))
    places = np.flatnonzero(pc.is_in(paths, value_set=wanted).to_numpy(zero_copy_only=False))
    there = _files(indexed[["path", "content_hash"]].iloc[places])
    found = pc.fill_null(pc.index_in(there, value_set=_files(corrected)), -1).to_numpy(zero_copy_only=False)
    return places[found >= 0], corrected.iloc[found[found >= 0]]


def _files(rows: pd.DataFrame) -> pa.Array:
    """What a correction is of, as one text a file: path and content."""
    columns = (pa.array(rows[name], pa.large_string()) for name in ("path", "content_hash"))
    return pc.binary_join_element_wise(*columns, pa.scalar("\0", pa.large_string()))


def _conflicts_anew(frame: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
    """`label_conflict` of the images that look like those at `places`, as their labels are now."""
    scores, flags = frame["label_conflict_score"].to_numpy(copy=True), frame["is_label_conflict"].to_numpy(copy=True)
    groups = frame["near_group"].to_numpy()
    exact = frame["duplicate_group"].to_numpy()
    groups = np.where(groups >= 0, groups, np.where(exact >= 0, -2 - exact, -1))  # exact copies that look like nothing
    touched = np.unique(groups[places])
    members = np.flatnonzero(np.isin(groups, touched[touched != -1]))
    if not len(members):
        return frame
    counted = ~frame["excluded"].to_numpy()[members] & frame["error"].iloc[members].isna().to_numpy()
    alike = pd.DataFrame({"group": groups[members], "label": frame["label"].iloc[members].to_numpy()})
    num_labels = alike["group"].map(alike[counted].groupby("group")["label"].nunique()).fillna(0).to_numpy()
    conflict = counted & (num_labels > 1)
    scores[members] = np.where(conflict, 0.0, np.where(np.isnan(scores[members]), np.nan, 1.0))
    flags[members] = conflict
    return frame.assign(label_conflict_score=scores, is_label_conflict=flags)
