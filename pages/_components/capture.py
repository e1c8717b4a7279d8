"""Collecting a dataset from nothing: name it, add classes, fill each from camera or uploads, then look at it."""

from __future__ import annotations

import base64

import streamlit as st

from core.data import captures
from core.data.captures import Added, Collection
from core.errors import DarkroomError
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.camera import camera
from pages._components.guard import guarded, show_error
from pages._components.text import escape

_CHOSEN, _CLASS = "collection", "collection-class"  # keys of widgets
_NEXT, _NEXT_CLASS = "collection-next", "collection-next-class"  # what they are to show after the next rerun
_SAID, _RUN = "collection-said", "collection-run"
_NEW = "New collection"
_SHOWN = 8  # of the newest images


def collect_images(workspace: Workspace) -> None:
    """Choose or start a collection, then fill it."""
    with guarded():
        collections = {one.id: one for one in captures.list_collections(workspace)}
        ids = [*collections, _NEW]
        chosen = _choice(_CHOSEN, _NEXT, ids, ids[0])
        if collections:
            st.selectbox(
                "Collection",
                ids,
                key=_CHOSEN,
                format_func=lambda one: collections[one].name if one in collections else one,
            )
            chosen = st.session_state[_CHOSEN]
        if chosen == _NEW:
            _start(workspace)
        else:
            _fill(workspace, collections[chosen])


def _choice(key: str, next_key: str, options: list[str], default: str) -> str:
    """What a widget is to show: what was just made, else what it showed, as long as there is such a thing."""
    wanted = st.session_state.pop(next_key, st.session_state.get(key))
    st.session_state[key] = wanted if wanted in options else default
    return st.session_state[key]


def _start(workspace: Workspace) -> None:
    with st.form("new-collection", border=False):
        name = st.text_input("Name of the collection", max_chars=80)
        st.caption("Two classes with about 30 images each are enough for a first model, such as mug and no mug.")
        if st.form_submit_button("Start collecting", type="primary"):
            with guarded():
                st.session_state[_NEXT] = captures.start_collection(workspace, name).id
                st.rerun()


def _fill(workspace: Workspace, collection: Collection) -> None:
    with st.form("new-class", border=False, clear_on_submit=True):
        text, button = st.columns([3, 1], vertical_alignment="bottom")
        label = text.text_input("New class", max_chars=60, placeholder="mug")
        if button.form_submit_button("Add class", width="stretch"):
            with guarded():
                st.session_state[_NEXT_CLASS] = captures.add_class(workspace, collection.id, label)
                st.rerun()
    if not collection.counts:
        st.caption("Add the first class to begin.")
        return
    labels = list(collection.counts)
    _choice(_CLASS, _NEXT_CLASS, labels, labels[-1])
    label = st.radio(
        "Class to add to",
        labels,
        key=_CLASS,
        horizontal=True,
        format_func=lambda one: f"{escape(one)} ({count(collection.counts[one])})",
    )
    _add_images(workspace, collection, label)
    _newest(workspace, collection, label)
    words = "Bring the dataset up to date" if collection.is_indexed else "Look"
    if st.button(
        f"{words}: {count(collection.num_images, 'image')}", type="primary", icon=":material/search:", key="collected"
    ):
        with guarded():
            st.query_params[keys.PENDING] = captures.index_collection(workspace, collection.id)
            st.rerun()


def _add_images(workspace: Workspace, collection: Collection, label: str) -> None:
    def store(of_class: str, run: str, images: list[tuple[str, bytes]]) -> None:
        """One batch of pictures; those of one press of the button can be deleted together."""
        before, batch = st.session_state.get(_RUN, ("", None))
        try:
            added = captures.add_images(workspace, collection.id, of_class, images, batch if before == run else None)
        except DarkroomError as error:
            st.session_state[_SAID] = error
            return
        st.session_state[_RUN] = (run, added.batch)
        st.session_state[_SAID] = added if added.refused else None

    way = st.segmented_control("From", ["Camera", "Files"], default="Camera", key="collect-from", required=True)
    if way == "Camera":
        number, interval = st.columns(2)
        how_many = number.number_input("Images", 1, 500, 30, help="How many pictures one press of the button takes.")
        seconds = interval.number_input("Seconds between them", 0.1, 10.0, 0.3, 0.1, help="Move a little meanwhile.")
        camera(label, int(how_many), float(seconds), store)
    else:
        _upload(label, store)
    _say(st.session_state.pop(_SAID, None))


def _upload(label: str, store: captures.Store) -> None:
    with st.form("collect-files", border=False, clear_on_submit=True):
        files = st.file_uploader(f"Images of {escape(label)}", accept_multiple_files=True)
        if st.form_submit_button("Add these images") and files:
            store(label, files[0].file_id, [(file.name, file.getvalue()) for file in files])
            st.rerun()


def _say(said: Added | DarkroomError | None) -> None:
    if isinstance(said, DarkroomError):
        show_error(said)
    elif said:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in said.refused[:5])
        st.warning(escape(f"{count(len(said.refused), 'file')} not stored. {reasons}"), icon=":material/warning:")


def _newest(workspace: Workspace, collection: Collection, label: str) -> None:
    newest = captures.latest(workspace, collection.id, label, _SHOWN)
    if newest:
        sources = [f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" for data in newest]
        st.image(sources, width=80)
    with st.container(horizontal=True):
        if st.button("Delete the last capture", icon=":material/undo:", disabled=not newest):
            captures.delete_last(workspace, collection.id, label)
            st.rerun()
        with st.popover("Delete this class", icon=":material/delete:"):
            st.markdown(f"Its {count(collection.counts[label], 'image')} are deleted for good.")
            if st.button("Delete them", type="primary"):
                captures.delete_class(workspace, collection.id, label)
                st.rerun()
