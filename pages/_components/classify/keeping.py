"""Keeps images worth it: their files, as they came, into a collection under a class, with one click."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import streamlit as st

from core.data import captures
from core.errors import InputError
from core.inference.batches import Batch
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

_KEPT = "kept-images"  # session: (batch, path) -> (collection, class)
_SAID = "kept-said"
_NEXT = "keep-next"  # session: key of a bar -> collection it is to show when it is drawn next
TICKED, OPENED = "ticked", "opened"  # keys of bars
_NEW = "New collection"
_AS_ANSWERED = "The likeliest class of each"
_NAME = "Photos from Classify"  # of a first collection, so that one click is enough


def kept_as(batch: Batch, path: str) -> str:
    """A mark for an image that was kept in this session, else an empty text."""
    known = st.session_state.get(_KEPT, {}).get((batch.id, path))
    return f"kept as {known[1]}" if known else ""


def keep_bar(batch: Batch, rows: Sequence[dict[str, Any]], classes: Sequence[str], key: str) -> None:
    """Draw where images go, as what, and the button.

    Args:
        rows: of the batch's table.
        classes: of the model; a new name can be typed.
        key: `TICKED` or `OPENED`.
    """
    workspace = Workspace.default()
    collections = {one.id: one for one in captures.list_collections(workspace)}
    if (just_used := st.session_state.get(_NEXT, {}).pop(key, None)) in collections:
        st.session_state[f"{key}-keep-in"] = just_used
    with st.container(border=True, horizontal=True, vertical_alignment="bottom", key=f"{key}-keep"):
        into = st.selectbox(
            "Keep in",
            [*collections, _NEW],
            format_func=lambda one: collections[one].name if one in collections else one,
            key=f"{key}-keep-in",
            width=220,
        )
        name = st.text_input("Name", _NAME, key=f"{key}-keep-name", width=200) if into == _NEW else ""
        known = list(dict.fromkeys([*(collections[into].counts if into in collections else ()), *classes]))
        as_answered = f"{rows[0]['label']} (its answer)" if len(rows) == 1 else _AS_ANSWERED
        label = st.selectbox(
            "as", [as_answered, *known], accept_new_options=True, key=f"{key}-keep-as-{len(rows) == 1}", width=220
        )
        st.button(
            f"Keep {count(len(rows), 'image')}",
            key=f"{key}-keep-button",
            icon=":material/bookmark_add:",
            on_click=ask,
            args=(f"{key}-keep",),
        )
    if asked(f"{key}-keep"):
        with guarded():
            keep(workspace, batch, rows, into if into in collections else None, name, _chosen(label, as_answered))
            st.rerun()


def keep(
    workspace: Workspace,
    batch: Batch,
    rows: Sequence[dict[str, Any]],
    identity: str | None,
    name: str,
    label: str | None,
) -> None:
    """Store the images' files as they are, and note what was done for the page.

    Args:
        identity: of the collection; None starts one of that `name`.
        label: the class; None for the likeliest of each.

    Raises:
        InputError: a name cannot be used, or all of them are there already.
    """
    known = st.session_state.setdefault(_KEPT, {})
    identity = identity or captures.start_collection(workspace, name).id
    wanted = [(label or row["label"], row) for row in rows]
    wanted = [(one, row) for one, row in wanted if known.get((batch.id, row["path"])) != (identity, one)]
    if not wanted:
        raise InputError("These images are kept there already.", "Choose others, or another class.")
    refused: list[tuple[str, str]] = []
    for of_class, group in groupby(sorted(wanted, key=lambda one: one[0]), key=lambda one: one[0]):
        of_this = [row for _, row in group]
        kept_class = captures.add_class(workspace, identity, of_class)
        files = [(row["name"], batch.file(row["path"]).read_bytes()) for row in of_this]
        added = captures.add_images(workspace, identity, kept_class, files)
        refused += added.refused
        known.update({(batch.id, row["path"]): (identity, of_class) for row in of_this})
    st.session_state[_NEXT] = dict.fromkeys((TICKED, OPENED), identity)
    st.session_state[_SAID] = (captures.open_collection(workspace, identity).name, len(wanted), refused)


def _chosen(label: str | None, as_answered: str) -> str | None:
    return None if label in (None, as_answered) else str(label)


def say_kept() -> None:
    """What was kept last, once."""
    if _SAID not in st.session_state:
        return
    name, number, refused = st.session_state.pop(_SAID)
    stored = number - len(refused)
    if stored:
        st.success(
            f"{count(stored, 'image')} kept in {escape(name)}. It becomes a dataset, or is brought up to date, on "
            "Overview under Collect images.",
            icon=":material/bookmark_added:",
        )
        st.page_link(keys.OVERVIEW, label="To Overview", icon=":material/photo_library:")
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused[:5])
        st.warning(escape(f"{count(len(refused), 'file')} not kept. {reasons}"), icon=":material/warning:")
