"""What was corrected, when and why; undo and redo; the corrected dataset written elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.config import build_config
from core.data.cleaned import exports_of, forget_export, start_export
from core.data.datasets import Dataset
from core.data.edits import Edit, history, next_steps
from core.data.manifest import usable
from core.files import csv_bytes
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.config_form import group_values
from pages._components.edit_bar import step_buttons
from pages._components.guard import fragment, guarded
from pages._components.states import state_text
from pages._components.text import escape

ROWS_A_PAGE = 100
_ACTIONS = {"relabel": "Relabelled", "exclude": "Excluded", "restore": "Restored"}
_ARRANGE = {"class": "A folder for each class", "split": "train, val and test, each with a folder for each class"}
_FILES = {"copy": "Copies", "hardlink": "Hard links, which take no space and change if an original is changed"}


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The list of corrections and what can be done with it."""
    edits = history(workspace, dataset.id)
    st.markdown(escape(_answer(dataset, edits)))
    if edits:
        step_buttons(workspace, dataset, *next_steps(workspace, dataset.id), key="edits")
        _table(edits)
    _export(workspace, dataset)


def _answer(dataset: Dataset, edits: list[Edit]) -> str:
    if not edits:
        return (
            f"Nothing was corrected: version {dataset.fingerprint} is as indexed. Select images in Images, Health or "
            "Label issues, or behind a cell of Evaluate, to relabel or exclude them."
        )
    undone = len(edits) - dataset.num_edits
    return (
        f"{count(dataset.num_edits, 'correction')} in force, {count(undone)} undone; "
        f"{count(dataset.num_excluded, 'image')} excluded. This is version {dataset.fingerprint}."
    )


def _table(edits: list[Edit]) -> None:
    newest_first = edits[::-1]
    page = keys.page_of(len(edits), ROWS_A_PAGE, keys.PAGE)
    rows = pd.DataFrame([_row(edit) for edit in newest_first[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]])
    st.dataframe(
        rows, hide_index=True, column_config={"When": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")}
    )


def _row(edit: Edit) -> dict[str, Any]:
    stale = f", not for {count(edit.num_stale, 'file')} changed or gone since" if edit.num_stale else ""
    return {
        "When": pd.Timestamp(edit.at, unit="s", tz="UTC"),
        "What": _ACTIONS[edit.action] + (f" as {edit.label}" if edit.label else ""),
        "Images": len(edit.files),
        "First": edit.paths[0],
        "Reason": edit.reason,
        "State": ("undone" if edit.undone else "in force") + stale,
    }


def _export(workspace: Workspace, dataset: Dataset) -> None:
    st.subheader("Export a cleaned copy")
    st.markdown(
        f"Writes {count(dataset.num_images, 'image')} as corrected somewhere else, with `labels.csv` beside them. "
        "Excluded and unreadable files are left out; the originals stay as they are. Where it is arranged by train, "
        "val and test, it is divided as under Splits."
    )
    with st.form("export-cleaned", border=False):
        target = st.text_input("Folder to write to", placeholder=f"/home/me/{dataset.name}-cleaned")
        arrange = st.selectbox("Arranged by", list(_ARRANGE), format_func=_ARRANGE.__getitem__)
        files = st.selectbox("Files", list(_FILES), format_func=_FILES.__getitem__)
        if st.form_submit_button("Write the copy", icon=":material/drive_file_move:"):
            with guarded():
                split = build_config({**group_values("split"), "data.dataset": dataset.id}).split
                start_export(workspace, dataset.id, target, arrange, files, split)
    st.download_button(
        "Corrected labels as CSV",
        lambda: csv_bytes(usable(dataset.manifest())[["path", "label", "source_label", "split", "group"]]),
        f"{dataset.id}-labels.csv",
        "text/csv",
        key="labels-csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
    found = exports_of(workspace, dataset.id)
    if found:
        at_work = any(not jobs.read_status(folder).ended for folder, _ in found)
        fragment(_exports, run_every=1 if at_work else None)(workspace, dataset, at_work)


def _exports(workspace: Workspace, dataset: Dataset, at_work: bool) -> None:
    states = [(folder, asked, jobs.read_status(folder)) for folder, asked in exports_of(workspace, dataset.id)]
    for folder, asked, status in states:
        with st.container(horizontal=True, vertical_alignment="center", key=f"export-{folder.name}"):
            words = (
                f"{count(status.done)} of {count(status.total, 'image')}" if status.total and not status.ended else ""
            )
            st.markdown(
                f"{state_text(status.state)} {escape(asked['target'])}: {escape(words or status.message)}",
                width="stretch",
            )
            _end(folder, status)
    if at_work and all(status.ended for *_, status in states):
        st.rerun()  # to end the redrawing


def _end(folder: Path, status: jobs.Status) -> None:
    if not status.ended:
        if st.button("Cancel", icon=":material/stop_circle:", key=f"cancel-{folder.name}"):
            jobs.request_stop(folder)
    elif st.button("Remove from this list", type="tertiary", key=f"forget-{folder.name}"):
        forget_export(folder)
        st.rerun()
