"""Correcting a dataset without touching its images: relabel, exclude, restore, undo and redo.

Each call adds one line to the dataset's ledger and makes a new version of the dataset. Several processes may edit the
same dataset at once; each edit is made to what the ones before it left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.data import ledger
from core.data.ledger import Action, Edit, Ledger
from core.data.stored import Dataset, identity_rows, open_dataset, read_described, recount
from core.errors import DarkroomError, InputError
from core.wording import count
from core.workspace import Workspace

__all__ = ["Edit", "exclude", "history", "next_steps", "redo", "relabel", "restore", "sentence", "undo"]

MAX_LABEL, MAX_REASON = 100, 500
_MOST_NAMED = 3


def relabel(ws: Workspace, dataset_id: str, paths: Sequence[str], label: str, reason: str = "") -> Edit:
    """Give images another class, a new one if need be; those that have it already are left out of the edit.

    Raises:
        InputError: no image is named, one is not in the dataset or cannot be read, all have that class already, or
            the class has no name or one that is too long.
    """
    return _edit(ws, dataset_id, paths, "relabel", reason, label)


def exclude(ws: Workspace, dataset_id: str, paths: Sequence[str], reason: str = "") -> Edit:
    """Take images out of the dataset: not trained on, not tested on, still listed. Raises as `relabel` does."""
    return _edit(ws, dataset_id, paths, "exclude", reason)


def restore(ws: Workspace, dataset_id: str, paths: Sequence[str], reason: str = "") -> Edit:
    """Take excluded images in again; a corrected label stays. Raises as `relabel` does."""
    return _edit(ws, dataset_id, paths, "restore", reason)


def undo(ws: Workspace, dataset_id: str, only: int | None = None) -> Edit | None:
    """Take back the last edit in force; None where there is none.

    Args:
        only: the id of the edit meant.

    Raises:
        InputError: another edit than the one meant is the last by now.
    """
    return _step(ws, dataset_id, "undo", only)


def redo(ws: Workspace, dataset_id: str, only: int | None = None) -> Edit | None:
    """Bring back what was undone last; None where nothing was, or an edit was made since. See `undo`."""
    return _step(ws, dataset_id, "redo", only)


def next_steps(ws: Workspace, dataset_id: str) -> tuple[Edit | None, Edit | None]:
    """What undo would take back and what redo would bring back; None where there is nothing."""
    now = ledger.read_ledger(open_dataset(ws, dataset_id).folder)
    return now.edit(now.done[-1]) if now.done else None, now.edit(now.undone[-1]) if now.undone else None


def history(ws: Workspace, dataset_id: str, path: str | None = None) -> list[Edit]:
    """All edits ever made, oldest first, the undone ones marked.

    Args:
        path: only the edits of this image.
    """
    folder = open_dataset(ws, dataset_id).folder
    edits = [edit for edit in ledger.read_ledger(folder).edits if path is None or path in edit.paths]
    if not edits:
        return []
    known = identity_rows(folder)
    known = known[known["path"].isin({one for edit in edits for one in edit.paths})]
    contents = dict(zip(known["path"], known["content_hash"], strict=True))
    return [replace(edit, num_stale=ledger.num_stale(edit.files, contents)) for edit in edits]


def sentence(edit: Edit) -> str:
    """`Relabelled 3 images as cat.`"""
    images = count(len(edit.files), "image")
    if edit.action == "relabel":
        return f"Relabelled {images} as {edit.label}."
    return f"{'Excluded' if edit.action == 'exclude' else 'Restored'} {images}."


def _edit(
    ws: Workspace, dataset_id: str, paths: Sequence[str], action: Action, reason: str, label: str | None = None
) -> Edit:
    wanted = list(dict.fromkeys(paths))
    reason = " ".join(reason.split())
    if not wanted:
        raise InputError("No image is selected.", "Select at least one.")
    if len(reason) > MAX_REASON:
        raise InputError(f"A reason has at most {MAX_REASON} characters; this one has {len(reason):,}.", "Shorten it.")
    folder = open_dataset(ws, dataset_id).folder
    with ledger.lock(folder):
        dataset, before = _now(folder)
        indexed = identity_rows(folder)
        rows = _rows_of(dataset, indexed, before, wanted)
        if action == "relabel":
            assert label is not None
            label = label if (indexed["label"] == label).any() else _checked_label(label)
            differs = rows["label"] != label
        else:
            differs = rows["excluded"] != (action == "exclude")
        if not differs.any():
            raise InputError(_nothing_to_do(action, label), "Select others.")
        files = tuple(rows.loc[differs, ["path", "content_hash"]].itertuples(index=False, name=None))
        edit = Edit(before.last_id + 1, time.time(), action, files, label, reason)
        about = {"label": label} if action == "relabel" else {}
        _write_down(dataset, before, _row(edit.id, edit.at, action, **about, reason=reason, files=files))
    return edit


def _step(ws: Workspace, dataset_id: str, action: str, only: int | None) -> Edit | None:
    folder = open_dataset(ws, dataset_id).folder
    with ledger.lock(folder):
        dataset, before = _now(folder)
        candidates = before.done if action == "undo" else before.undone
        if only is not None and only not in candidates[-1:]:
            raise InputError(
                f"That correction cannot be {'undone' if action == 'undo' else 'redone'} now: others were made since.",
                "See the list of edits.",
            )
        if not candidates:
            return None
        edit = before.edit(candidates[-1])
        _write_down(dataset, before, _row(before.last_id + 1, time.time(), action, of=edit.id))
    return replace(edit, undone=action == "undo")


def _now(folder: Path) -> tuple[Dataset, Ledger]:
    """The dataset and its ledger as they are while the lock is held."""
    dataset = read_described(folder)
    if dataset is None:
        raise DarkroomError(f"The dataset in {folder} was removed just now.", "Index its images again.")
    return dataset, ledger.read_ledger(folder)


def _write_down(dataset: Dataset, before: Ledger, row: dict[str, Any]) -> None:
    ledger.append(dataset.folder, before, row)
    recount(dataset)


def _row(number: int, at: float, action: str, **about: Any) -> dict[str, Any]:
    return {"id": number, "at": round(at, 3), "action": action, **about}


def _rows_of(dataset: Dataset, indexed: pd.DataFrame, before: Ledger, wanted: list[str]) -> pd.DataFrame:
    """The rows of these paths as corrected so far; refuses paths that cannot be edited, all at once."""
    asked = pa.array(wanted, pa.large_string())
    indexed = indexed[pc.is_in(pa.array(indexed["path"], pa.large_string()), value_set=asked).to_numpy(False)]
    unknown = sorted(set(wanted) - set(indexed["path"].tolist()))
    if unknown:
        raise InputError(
            f"{_named(unknown)} {'is' if len(unknown) == 1 else 'are'} not in dataset {dataset.name}.",
            "Paths are relative to the dataset's folder, as in its manifest.",
        )
    unreadable = indexed.loc[indexed["error"].notna(), "path"].tolist()
    if unreadable:
        raise InputError(
            f"{_named(unreadable)} cannot be read and is used for nothing, so there is nothing to correct.",
            "Replace the file and index the folder again.",
        )
    return ledger.apply_corrections(indexed, ledger.corrections(before))


def _checked_label(label: str) -> str:
    """The name of a class that the images as indexed did not have."""
    label = " ".join(label.split())
    if not 0 < len(label) <= MAX_LABEL:
        raise InputError(f"A class has a name of 1 to {MAX_LABEL} characters; this has {len(label):,}.", "Change it.")
    if not label.isprintable():
        raise InputError(f"The class name {label!r} holds characters that cannot be shown.", "Leave them out.")
    return label


def _nothing_to_do(action: Action, label: str | None) -> str:
    return {
        "relabel": f"All of these images are labelled {label} already.",
        "exclude": "All of these images are excluded already.",
        "restore": "None of these images is excluded.",
    }[action]


def _named(paths: list[str]) -> str:
    more = f" and {count(len(paths) - _MOST_NAMED)} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(paths[:_MOST_NAMED]) + more
