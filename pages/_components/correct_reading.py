"""How images were read, and the form to have them read differently, with a preview of what a label pattern gives."""

from __future__ import annotations

import streamlit as st

from core.data.label_patterns import DEFAULT_PATTERN, preview
from core.data.manifest_files import NO_COLUMN
from core.data.pending import examples, looked_at, resume
from core.data.reading import LAYOUTS, Reading
from core.errors import InputError
from core.workspace import Workspace
from pages._components.guard import guarded, show_error

_RECOGNISE = "recognise it"
_ASKED = "read-again"  # in the session's state, because a next click may end the script before it gets to the button
_ROLES = {"path": "Paths", "label": "Labels", "split": "Split", "group": "Group"}


def correct_reading(workspace: Workspace, pending_id: str, understood: Reading | None) -> None:
    """Draw the form; `understood` is how the finished look read the images, None where it could not."""
    _, asked = looked_at(workspace, pending_id)
    now = understood or asked
    names, columns = examples(workspace, pending_id)
    options = [_RECOGNISE, *LAYOUTS]
    layout = st.selectbox(
        "Layout",
        options,
        index=options.index(now.layout or _RECOGNISE),
        format_func=lambda name: name if name == _RECOGNISE else f"{name}: {LAYOUTS[name]}",
        help="What says which class an image is of.",
    )
    chosen: dict[str, str] = {}
    if layout == "flat names":
        chosen = _pattern(now, names)
    elif layout == "table":
        chosen = _table(now, columns)
    st.button("Read again", icon=":material/refresh:", on_click=_ask)
    if reading_again():
        del st.session_state[_ASKED]
        with guarded():
            reading = Reading(layout=None if layout == _RECOGNISE else layout, **chosen)  # type: ignore[arg-type]
            resume(workspace, pending_id, reading)
            st.rerun()


def reading_again() -> bool:
    """Whether the images are to be read again, so that what was found counts no more."""
    return _ASKED in st.session_state


def _ask() -> None:
    st.session_state[_ASKED] = True


def _pattern(now: Reading, names: list[str]) -> dict[str, str]:
    pattern = st.text_input(
        "Label pattern",
        value=now.pattern or DEFAULT_PATTERN,
        help="A regular expression, searched in the path below the images' folder. The group called label, else the "
        "first group, is the class; groups called split and group are understood too.",
    )
    try:
        labelled = preview(pattern, names)
    except InputError as error:
        show_error(error)
        return {"pattern": now.pattern}
    rows = {
        "Image": names,
        "Label": [one.label or "no label: left out" for one in labelled],
    }
    if any(one.split for one in labelled):
        rows["Split"] = [one.split or "" for one in labelled]
    if any(one.group for one in labelled):
        rows["Group"] = [one.group or "" for one in labelled]
    st.dataframe(rows, hide_index=True, key="pattern-preview")
    return {"pattern": pattern}


def _table(now: Reading, columns: list[str]) -> dict[str, str]:
    if not columns:
        st.caption("No CSV, TSV or Parquet file was found beside the images.")
    chosen = {}
    for (role, label), place in zip(_ROLES.items(), st.columns(len(_ROLES)), strict=True):
        field = f"{role}_column"
        options = ["", NO_COLUMN, *columns] if role in ("split", "group") else ["", *columns]
        current = getattr(now, field)
        chosen[field] = place.selectbox(
            label,
            options,
            index=options.index(current) if current in options else 0,
            format_func=lambda name: name or _RECOGNISE,
        )
    images = st.text_input(
        "Images lie in", value=now.images, help="The folder the paths are relative to, from the table."
    )
    return {**chosen, "table": now.table, "images": images.strip()}
