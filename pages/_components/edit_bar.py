"""Corrects selected images: another class, out of the dataset, in again; each step can be undone where it was made."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.data.datasets import Dataset
from core.data.edits import MAX_LABEL, MAX_REASON, Edit, exclude, redo, relabel, restore, sentence, undo
from core.wording import count
from core.workspace import Workspace
from pages._components import readers
from pages._components.guard import guarded
from pages._components.text import escape

_LAST = "last-edit"  # (dataset id, the edit just made, undone or redone in this session)


def edit_bar(workspace: Workspace, dataset: Dataset, paths: list[str], classes: list[str], key: str) -> None:
    """Draw what can be done with the images at `paths`, and the way back from what was done last.

    An edit makes a new version of the dataset and draws the whole page again.

    Args:
        paths: as in the manifest; none draws the way back alone.
        classes: what they can be labelled; a new name can be typed.
        key: of the widgets; another one for each bar on a page.
    """
    _last_edit(workspace, dataset, key)
    if not paths:
        return
    with st.container(border=True, key=f"{key}-edit-bar", gap="small"):
        st.markdown(f"**{count(len(paths), 'image')} selected.** The files themselves are not changed.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = st.selectbox(
                "New class",
                classes,
                index=None,
                placeholder="Choose, or type a new name",
                accept_new_options=True,
                key=f"{key}-label",
                width=260,
            )
            reason = st.text_input("Reason, if you like", max_chars=MAX_REASON, key=f"{key}-reason", width=260)
            if _button("Relabel", ":material/label:", key, label is None):
                given = str(label)[: MAX_LABEL + 1]  # one more than allowed, so that it is refused in words
                _make(dataset, lambda: relabel(workspace, dataset.id, paths, given, reason))
            taken_out = _num_excluded(dataset, paths)
            if taken_out < len(paths) and _button("Exclude", ":material/visibility_off:", key):
                _make(dataset, lambda: exclude(workspace, dataset.id, paths, reason))
            if taken_out and _button("Restore", ":material/visibility:", key):
                _make(dataset, lambda: restore(workspace, dataset.id, paths, reason))


def step_buttons(workspace: Workspace, dataset: Dataset, back: Edit | None, forth: Edit | None, key: str) -> None:
    """Undo and Redo, each saying what it is about; see `core.data.edits.next_steps`.

    A button is of one edit: where another tab made one since, a click on the old button does nothing.
    """
    with st.container(horizontal=True):
        words = f"Undo: {escape(sentence(back).removesuffix('.'))}" if back else "Undo"
        if st.button(words, icon=":material/undo:", disabled=back is None, key=_key(f"{key}-undo", back)) and back:
            _make(dataset, lambda: undo(workspace, dataset.id, back.id))
        words = f"Redo: {escape(sentence(forth).removesuffix('.'))}" if forth else "Redo"
        if st.button(words, icon=":material/redo:", disabled=forth is None, key=_key(f"{key}-redo", forth)) and forth:
            _make(dataset, lambda: redo(workspace, dataset.id, forth.id))


def _key(key: str, edit: Edit | None) -> str:
    return f"{key}-{edit.id}" if edit else key


def _last_edit(workspace: Workspace, dataset: Dataset, key: str) -> None:
    of, edit = st.session_state.get(_LAST, ("", None))
    if of != dataset.id:
        return
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}-last-edit"):
        sign, done = ("undo", "Undone: ") if edit.undone else ("check", "")
        st.markdown(f":material/{sign}: {done}{escape(sentence(edit))}", width="content")
        if edit.undone and _button("Redo", ":material/redo:", key):
            _make(dataset, lambda: redo(workspace, dataset.id, edit.id))
        if not edit.undone and _button("Undo", ":material/undo:", key):
            _make(dataset, lambda: undo(workspace, dataset.id, edit.id))


def _button(words: str, icon: str, key: str, disabled: bool = False) -> bool:
    return st.button(words, icon=icon, disabled=disabled, key=f"{key}-{words.lower()}")


def _make(dataset: Dataset, edit: Callable[[], Edit | None]) -> None:
    """Do it, keep it for the way back, and draw the page of the new version; say why where it cannot be done."""
    with guarded():
        made = edit()
        if made is not None:
            st.session_state[_LAST] = (dataset.id, made)
        st.rerun()


def _num_excluded(dataset: Dataset, paths: list[str]) -> int:
    rows = readers.dataset_rows(dataset)
    return int(rows["excluded"].to_numpy()[rows["path"].isin(paths).to_numpy()].sum())
