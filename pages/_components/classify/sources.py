"""Where Classify takes images from: each source draws itself and adds what it is given to the session's batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import streamlit as st

from core.data.uploads import uploaded
from core.runs.store import Run
from core.workspace import Workspace
from pages._components import readers
from pages._components.classify.batch import bring_files, bring_source
from pages._components.guard import guarded
from pages._components.upload_archive import TO_CLASSIFY, upload_archive
from pages._components.webcam import webcam

_TIMES = "uploads-taken"  # session: how often an upload was taken, which gives the next one an empty box


def _files(run: Run) -> None:
    _upload("Images", "uploads", True, "Any number, up to 50 MB each. They stay on this machine, for a day at most.")


def _folder(run: Run) -> None:
    _upload("A folder", "folder-upload", "directory", "All its images, those in folders below it too, are sent.")
    with st.form("classify-folder", border=False):
        words = "Or the path of a folder on the machine Darkroom runs on"
        path = st.text_input(words, placeholder="/data/photos", key="folder-path")
        if st.form_submit_button("Classify this folder") and path.strip():
            with guarded():
                bring_source(Workspace.default(), "folder", Path(path.strip()).expanduser())
                st.rerun()


def _zip(run: Run) -> None:
    ticket = upload_archive(Workspace.default(), TO_CLASSIFY)
    if ticket:
        with guarded():
            bring_source(Workspace.default(), "archive", uploaded(Workspace.default(), ticket))
            st.rerun()


def _camera(run: Run) -> None:
    def taken() -> None:
        if photo := st.session_state["photo"]:
            bring_files(Workspace.default(), [("photo.jpg", photo.getvalue())])

    st.caption("Browsers allow the camera on this machine or over HTTPS only; elsewhere use Upload.")
    st.camera_input("Take a photo", key="photo", on_change=taken)


def _live(run: Run) -> None:
    def keep(name: str, frame: bytes) -> None:
        bring_files(Workspace.default(), [(name, frame)])

    webcam(readers.classifier(run), readers.model_version(run), keep)


def _upload(label: str, key: str, multiple: Literal[True, "directory"], help: str) -> None:
    """A box that is emptied when its files are on disk: no rerun reads them again, and no session holds them."""
    times = st.session_state.get(_TIMES, 0)
    key = f"{key}-{times}" if times else key

    def sent() -> None:
        if files := st.session_state[key]:
            bring_files(Workspace.default(), ((file.name, file.getvalue()) for file in files))
            st.session_state[_TIMES] = times + 1

    st.file_uploader(label, accept_multiple_files=multiple, key=key, on_change=sent, help=help)


SOURCES: list[tuple[str, Callable[[Run], None]]] = [
    ("Upload", _files),
    ("Folder", _folder),
    ("ZIP or tar", _zip),
    ("Camera", _camera),
    ("Live", _live),
]
