"""What can be done with the runs that are ticked: compare, tag, put away, delete, and undo that."""

from __future__ import annotations

import time
from itertools import groupby

import pandas as pd
import streamlit as st

from core.files import csv_bytes
from core.runs.about import add_tags, read_about, remove_tags, write_about
from core.runs.listing import for_csv
from core.runs.store import open_run
from core.runs.trash import Deleted, delete_runs, deleted_runs, purge, restore_runs
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

FEWEST, MOST = 2, 10  # runs that Compare takes
_COMPARE, _ARCHIVE, _DELETE, _TAG, _UNTAG, _UNDO, _REMOVE = (
    f"runs-{what}" for what in ("compare", "archive", "delete", "tag", "untag", "undo", "remove")
)
_GENERATION = "runs-generation"
_TAGS = "runs-tags-given"
_BATCHES = 5  # deletions that are listed one by one


def table_key() -> str:
    """The key of the table; another one, with nothing ticked, once what was ticked is gone."""
    return f"runs-table-{st.session_state.get(_GENERATION, 0)}"


def act(workspace: Workspace, selected: list[str]) -> None:
    """Do what was pressed, with what is ticked; before anything else is drawn."""
    if asked(_COMPARE):
        st.switch_page(keys.COMPARE, query_params={keys.COMPARED: ",".join(selected)})
    with guarded():
        if asked(_DELETE):
            _delete(workspace, selected)
        if asked(_ARCHIVE):
            _archive(workspace, selected)
        adding, removing = asked(_TAG), asked(_UNTAG)
        if adding or removing:
            _tag(workspace, selected, adding)


def draw_actions(table: pd.DataFrame, selected: list[str]) -> None:
    """The buttons above the list.

    Args:
        table: the runs that pass the filters, in order.
        selected: what is ticked, listed now or not.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="runs-actions"):
        words = f"{count(len(selected))} ticked" if selected else "Tick runs to compare, tag, archive or delete them"
        st.markdown(f"**{words}**" if selected else f":small[{words}]", width="content")
        fits = FEWEST <= len(selected) <= MOST
        st.button(
            "Compare",
            key="runs-compare",
            icon=":material/compare_arrows:",
            type="primary" if fits else "secondary",
            disabled=not fits,
            help=f"Takes {FEWEST} to {MOST} runs.",
            on_click=ask,
            args=(_COMPARE,),
        )
        with st.popover("Tag", icon=":material/sell:", disabled=not selected):
            _tag_fields(table)
        st.button(
            "Archive",
            key="runs-archive",
            icon=":material/archive:",
            disabled=not selected,
            help="Puts them away: the list leaves them out unless the filter asks. Those that all are archived "
            "already come back.",
            on_click=ask,
            args=(_ARCHIVE,),
        )
        st.button(
            "Delete",
            key="runs-delete",
            icon=":material/delete:",
            disabled=not selected,
            help="Gives their disk back. Can be undone for ten minutes.",
            on_click=ask,
            args=(_DELETE,),
        )
        st.download_button(
            "CSV",
            lambda: csv_bytes(for_csv(table)),
            "runs.csv",
            "text/csv",
            key="runs-csv",
            icon=":material/download:",
            on_click="ignore",
            help="The runs listed, on all pages, with every figure and setting.",
        )


def draw_trash(workspace: Workspace) -> None:
    """What was deleted a short while ago, and the way back."""
    with guarded():
        if asked(_UNDO):
            back = restore_runs(workspace, st.session_state.pop(_UNDO))
            st.toast(f"{count(len(back), 'run')} brought back.", icon=":material/undo:")
            st.rerun()
        if asked(_REMOVE):
            gone = purge(workspace, 0)
            st.toast(f"{count(gone, 'run')} removed for good.", icon=":material/delete_forever:")
            st.rerun()
        purge(workspace)
    batches = [list(batch) for _, batch in groupby(deleted_runs(workspace), lambda entry: entry.deleted)]
    for number, batch in enumerate(batches[:_BATCHES]):
        with st.container(horizontal=True, vertical_alignment="center", key=f"runs-deleted-{number}", border=True):
            st.markdown(f":material/delete: {_deleted(batch)}", width="stretch")
            st.button(
                "Undo", key=f"runs-undo-{number}", icon=":material/undo:", on_click=_ask_undo, args=(_ids(batch),)
            )
    if batches:
        with st.container(horizontal=True, vertical_alignment="center"):
            if rest := batches[_BATCHES:]:
                st.caption(f"{count(sum(map(len, rest)), 'run')} more, deleted before.", width="content")
            st.button(
                "Give the disk back now",
                key="runs-remove",
                type="tertiary",
                icon=":material/delete_forever:",
                help="What was deleted cannot be brought back after this.",
                on_click=ask,
                args=(_REMOVE,),
            )


def _deleted(batch: list[Deleted]) -> str:
    names = ", ".join(entry.run_id for entry in batch[:3]) + (", ..." if len(batch) > 3 else "")
    until = time.strftime("%H:%M", time.localtime(batch[0].goes_at))
    return f"{count(len(batch), 'run')} deleted: {escape(names)}. Can be undone until {until}."


def _ids(batch: list[Deleted]) -> list[str]:
    return [entry.run_id for entry in batch]


def _ask_undo(run_ids: list[str]) -> None:
    st.session_state[_UNDO] = run_ids
    ask(_UNDO)


def _delete(workspace: Workspace, selected: list[str]) -> None:
    delete_runs(workspace, selected)
    _untick()
    st.rerun()


def _archive(workspace: Workspace, selected: list[str]) -> None:
    runs = [open_run(workspace, run_id) for run_id in selected]
    away = not all(read_about(run).archived for run in runs)
    for run in runs:
        write_about(run, archived=away)
    st.toast(f"{count(len(runs), 'run')} {'put away' if away else 'listed again'}.", icon=":material/archive:")
    _untick()
    st.rerun()


def _tag(workspace: Workspace, selected: list[str], adding: bool) -> None:
    change = add_tags if adding else remove_tags
    for run_id in selected:
        change(open_run(workspace, run_id), st.session_state.get(_TAGS, []))
    st.session_state.pop(_TAGS, None)
    st.rerun()


def _tag_fields(table: pd.DataFrame) -> None:
    known = sorted({tag for tags in table["tags"] for tag in tags})
    st.multiselect("Tags", known, key=_TAGS, accept_new_options=True, placeholder="Choose or type, then Enter")
    with st.container(horizontal=True):
        st.button("Add", key="runs-tag", type="primary", on_click=ask, args=(_TAG,))
        st.button("Take off", key="runs-untag", on_click=ask, args=(_UNTAG,))


def _untick() -> None:
    st.session_state[_GENERATION] = st.session_state.get(_GENERATION, 0) + 1
