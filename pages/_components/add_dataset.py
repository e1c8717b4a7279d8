"""Adding a dataset in two steps: look at a folder in the background and show what is there, then keep it or not."""

from __future__ import annotations

import streamlit as st

from core import jobs
from core.data.datasets import Dataset, accept, discard, list_datasets, look_at, pending
from core.data.manifest import usable
from core.data.summary import class_counts, unreadable
from core.files import tail_text
from core.wording import count, duration
from core.workspace import Workspace
from pages._components import keys
from pages._components.guard import fragment, guarded
from pages._components.labels import dataset_sentence
from pages._components.text import escape


def add_dataset(workspace: Workspace) -> None:
    """The form, or the folder being looked at, which the address names so that a reload finds it."""
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
        else:
            _refused(workspace, pending_id, status)
        return
    if st.button("Choose another folder"):
        _leave()


def _ask(workspace: Workspace) -> None:
    with st.form("add-dataset", border=False):
        text = st.text_input("Folder with images", placeholder="/home/me/photos")
        st.caption(
            "A path on the machine Darkroom runs on: one folder a class, train / val / test folders with class folders "
            "inside, or files named label.N.jpg. The images stay where they are and are never changed, and nothing is "
            "stored before you have seen what was found."
        )
        if st.form_submit_button("Look", type="primary", icon=":material/search:"):
            with guarded(), st.spinner("Listing the folder"):
                st.query_params[keys.PENDING] = look_at(workspace, text)
                st.rerun()


def _progress(workspace: Workspace, pending_id: str) -> None:
    status, _ = pending(workspace, pending_id)
    if status.ended:
        st.rerun()
    known = status.total > 0
    words = f"{count(status.done)} of {count(status.total, 'image')}" if known else status.message or "Starting"
    left = f", {duration(status.eta_s)} left" if status.eta_s is not None else ""
    rate = f", {status.rate:,.0f} images/s" if status.rate else ""
    st.progress(min(1.0, status.done / status.total) if known else 0.0, text=escape(words + rate + left))
    if st.button("Cancel", icon=":material/stop_circle:"):
        discard(workspace, pending_id)
        _leave()


def _review(workspace: Workspace, pending_id: str, dataset: Dataset) -> None:
    rows = dataset.manifest()
    st.markdown(f"**{escape(dataset.root)}**")
    st.success(escape(dataset_sentence(dataset)), icon=":material/visibility:")
    for note in dataset.notes:
        st.caption(escape(note))
    there = next((one for one in list_datasets(workspace) if one.id == dataset.id), None)
    if there:
        st.caption(f"This folder is already here as {escape(there.name)}; adding it again brings that up to date.")
    name = st.text_input("Name in Darkroom", value=(there or dataset).name, max_chars=80)
    with st.container(horizontal=True):
        if st.button("Add dataset", type="primary", icon=":material/add:"):
            with guarded():
                added = accept(workspace, pending_id, name)
                keys.remember(keys.DATASET, added.id)
                st.switch_page(keys.EXPLORE, query_params={keys.DATASET: added.id})
        if st.button("Discard", icon=":material/delete:"):
            discard(workspace, pending_id)
            _leave()
    st.caption(f"Read in {duration(dataset.seconds)}, {dataset.images_per_s:,.0f} images/s.")
    st.dataframe(class_counts(usable(rows)), hide_index=True, height="content" if dataset.num_classes <= 10 else 300)
    if dataset.num_errors:
        with st.expander(f"{count(dataset.num_errors, 'unreadable file')}: left out, with the reason"):
            st.dataframe(unreadable(rows), hide_index=True)
    if dataset.ignored:
        kinds = ", ".join(f"{count(number)} {what}" for what, number in dataset.ignored.items())
        st.caption(f"Left out: {escape(kinds)}.")


def _refused(workspace: Workspace, pending_id: str, status: jobs.Status) -> None:
    st.error(escape(status.message or f"Looking at the folder ended: {status.state}."), icon=":material/error:")
    log = tail_text(workspace.pending_dataset(pending_id) / jobs.LOG)
    if log:
        with st.expander("Log"):
            st.code(log, language=None, wrap_lines=True)
    if st.button("Choose another folder"):
        discard(workspace, pending_id)
        _leave()


def _leave() -> None:
    if keys.PENDING in st.query_params:
        del st.query_params[keys.PENDING]
    st.rerun()
