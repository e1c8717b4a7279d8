"""Adding a dataset in two steps: look at images in the background and show what is there, then keep it or not."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.data.datasets import Dataset, accept, discard, list_datasets, look_at, pending
from core.data.intake import read_refused
from core.data.manifest import usable
from core.data.pending import resume, stop
from core.data.reading import Reading
from core.data.summary import class_counts, unreadable
from core.data.torchvision_sets import PREFIX, SETS
from core.data.uploads import uploaded
from core.files import tail_text
from core.wording import bytes_size, count, duration
from core.workspace import Workspace
from pages._components import keys
from pages._components.capture import collect_images
from pages._components.correct_reading import correct_reading, reading_again
from pages._components.explore.unreadable import UNREADABLE_COLUMNS
from pages._components.guard import fragment, guarded
from pages._components.labels import dataset_sentence
from pages._components.text import escape
from pages._components.upload_archive import upload_archive

_FOLDER, _UPLOAD, _SET, _COLLECT = "On this machine", "Upload an archive", "Known set", "Collect images"


def add_dataset(workspace: Workspace) -> None:
    """The ways to bring images in, or what is being looked at, which the address names so that a reload finds it."""
    pending_id = st.query_params.get(keys.PENDING)
    if pending_id is None:
        _ask(workspace)
        return
    with guarded():
        status, dataset = pending(workspace, pending_id)
        if not status.ended:
            fragment(_progress, run_every=1)(workspace, pending_id)
        elif dataset is not None:
            _review(workspace, pending_id, dataset)
        elif status.state in ("stopped", "lost"):
            _interrupted(workspace, pending_id, status)
        else:
            _refused(workspace, pending_id, status)
        return
    if st.button("Choose another folder"):
        _leave()


def _ask(workspace: Workspace) -> None:
    ways = [_FOLDER, _UPLOAD, _SET, _COLLECT]
    way = st.segmented_control("Where are the images?", ways, default=_FOLDER, key="add-from", required=True)
    if way == _UPLOAD:
        ticket = upload_archive(workspace)
        if ticket:
            with guarded():
                _look(workspace, str(uploaded(workspace, ticket)))
    elif way == _SET:
        _ask_for_set(workspace)
    elif way == _COLLECT:
        collect_images(workspace)
    else:
        _ask_for_folder(workspace)


def _ask_for_folder(workspace: Workspace) -> None:
    with st.form("add-dataset", border=False):
        text = st.text_input("Folder with images", placeholder="/home/me/photos, labels.csv or photos.zip")
        st.caption(
            "A path on the machine Darkroom runs on. A folder: one folder a class, train / val / test folders with "
            "class folders inside, or files named label.N.jpg. A CSV, TSV or Parquet file with the columns path and "
            "label, and if you like split and group. A .zip or .tar, which is unpacked into the workspace. The images "
            "stay where they are and are never changed, and nothing is stored before you have seen what was found."
        )
        if st.form_submit_button("Look", type="primary", icon=":material/search:"):
            with guarded():
                _look(workspace, text)


def _ask_for_set(workspace: Workspace) -> None:
    about = {one.name: one.about for one in SETS}
    name = st.selectbox("Set", list(about), format_func=lambda name: f"{name}: {about[name]}")
    st.caption(
        "Downloaded by torchvision and written out as image files. Files that are already in "
        f"{escape(workspace.downloads)} are used without a network."
    )
    if st.button("Get it", type="primary", icon=":material/download:"):
        with guarded():
            _look(workspace, PREFIX + name)


def _look(workspace: Workspace, what: str) -> None:
    st.query_params[keys.PENDING] = look_at(workspace, what)
    st.rerun()


def _progress(workspace: Workspace, pending_id: str) -> None:
    status, _ = pending(workspace, pending_id)
    if status.ended:
        st.rerun()
    known = status.total > 0
    st.progress(min(1.0, status.done / status.total) if known else 0.0, text=escape(_in_words(status)))
    if st.button("Cancel", icon=":material/stop_circle:", disabled=status.state == "stopping"):
        stop(workspace, pending_id)


def _in_words(status: jobs.Status) -> str:
    """`Unpacking the images. 12 MB of 40 MB, 3 s left`, as far as it is known."""
    amount = bytes_size if status.unit == "bytes" else count
    unit = "" if status.unit == "bytes" else f" {status.unit}"
    done = f" {amount(status.done)}" if status.done or status.total else ""
    total = f" of {amount(status.total)}" if status.total else ""
    left = f", {duration(status.eta_s)} left" if status.eta_s is not None else ""
    rate = f", {status.rate:,.0f} {status.unit}/s" if status.rate and status.unit == "images" else ""
    words = "Stopping." if status.state == "stopping" else status.message or "Starting."
    return f"{words}{done}{total}{unit if done else ''}{rate}{left}"


def _review(workspace: Workspace, pending_id: str, dataset: Dataset) -> None:
    rows = dataset.manifest()
    st.markdown(f"**{escape(dataset.source or dataset.root)}**")
    st.success(escape(dataset_sentence(dataset)), icon=":material/visibility:")
    for note in dataset.notes:
        st.caption(escape(note))
    there = next((one for one in list_datasets(workspace) if one.id == dataset.id), None)
    if there:
        st.caption(f"This folder is already here as {escape(there.name)}; adding it again brings that up to date.")
    name = st.text_input("Name in Darkroom", value=(there or dataset).name, max_chars=80)
    with st.container(horizontal=True):
        if st.button("Add dataset", type="primary", icon=":material/add:") and not reading_again():
            with guarded():
                added = accept(workspace, pending_id, name)
                keys.remember(keys.DATASET, added.id)
                st.switch_page(keys.EXPLORE, query_params={keys.DATASET: added.id})
        if st.button("Discard", icon=":material/delete:"):
            discard(workspace, pending_id)
            _leave()
    st.caption(f"Read in {duration(dataset.seconds)}, {dataset.images_per_s:,.0f} images/s.")
    st.dataframe(
        class_counts(usable(rows)),
        hide_index=True,
        height="content" if dataset.num_classes <= 10 else 300,
        column_config={"label": "Class", "images": "Images"},
    )
    if dataset.num_errors:
        with st.expander(f"{count(dataset.num_errors, 'unreadable file')}: left out, with the reason"):
            st.dataframe(unreadable(rows), hide_index=True, column_config=UNREADABLE_COLUMNS)
    _show_refused(dataset)
    if dataset.ignored:
        kinds = ", ".join(f"{count(number)} {what}" for what, number in dataset.ignored.items())
        st.caption(f"Left out: {escape(kinds)}.")
    with st.expander("Not as you meant it? Read it differently", icon=":material/tune:"):
        correct_reading(workspace, pending_id, Reading.from_dict(dataset.reading))


def _show_refused(dataset: Dataset) -> None:
    named, total = read_refused(dataset.folder)
    if total:
        with st.expander(f"{count(total, 'entry', 'entries')} refused, by name"):
            st.dataframe({"Name": [name for name, _ in named], "Reason": [why for _, why in named]}, hide_index=True)
            if total > len(named):
                st.caption(f"The first {count(len(named))} are named.")


def _interrupted(workspace: Workspace, pending_id: str, status: jobs.Status) -> None:
    """Cancelled, or its process was killed: what was read by then is not lost."""
    far = f" {count(status.done)} of {count(status.total)} {status.unit} done." if status.total else ""
    st.warning(escape(f"{status.message}{far}"), icon=":material/pause_circle:")
    with st.container(horizontal=True):
        if st.button("Continue", type="primary", icon=":material/play_arrow:"):
            with guarded():
                resume(workspace, pending_id)
                st.rerun()
        if st.button("Discard", icon=":material/delete:"):
            discard(workspace, pending_id)
            _leave()


def _refused(workspace: Workspace, pending_id: str, status: jobs.Status) -> None:
    st.error(escape(status.message or f"Looking at the folder ended: {status.state}."), icon=":material/error:")
    log = tail_text(workspace.pending_dataset(pending_id) / jobs.LOG)
    if log:
        with st.expander("Log"):
            st.code(log, language=None, wrap_lines=True)
    with st.expander("Read it differently", icon=":material/tune:", expanded=True):
        correct_reading(workspace, pending_id, None)
    if st.button("Choose another folder"):
        discard(workspace, pending_id)
        _leave()


def _leave() -> None:
    st.session_state[keys.ADDING] = True
    if keys.PENDING in st.query_params:
        del st.query_params[keys.PENDING]
    st.rerun()
