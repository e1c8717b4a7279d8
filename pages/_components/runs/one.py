"""A run's own page: what became of it, and everything it was made from."""

from __future__ import annotations

import streamlit as st

from core.errors import DarkroomError
from core.runs.about import MAX_NAME, MAX_NOTE, About, read_about, write_about
from core.runs.store import Run, list_runs
from core.runs.trash import delete_runs
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.asking import ask, asked
from pages._components.guard import guarded, show_error
from pages._components.labels import started
from pages._components.run_panel import run_panel
from pages._components.runs import made_from, records
from pages._components.states import state_text
from pages._components.text import escape
from pages._components.train.another import offer_clone

VIEWS = {
    "Course": run_panel,
    "Settings": made_from.draw_settings,
    "Data": made_from.draw_data,
    "Log": records.draw_log,
    "Files": records.draw_files,
    "Repeat": made_from.draw_repeat,
}
_DELETE = "delete-this-run"


def draw_run(workspace: Workspace, run: Run) -> None:
    """Draw the page of one run."""
    if asked(_DELETE):
        with guarded():
            delete_runs(workspace, [run.id])
            back_to_list()
            st.rerun()
    about = _about(run)
    with st.container(horizontal=True, vertical_alignment="center", key="run-head"):
        st.button("All runs", key="run-back", icon=":material/arrow_back:", type="tertiary", on_click=back_to_list)
        st.markdown(f"### {escape(about.name or run.id)}", width="stretch")
    named = f"{escape(run.id)}, started {started(run)}" if about.name else f"Started {started(run)}"
    st.markdown(f"{state_text(run.status.state)} {named}. {' '.join(f':gray-badge[{escape(t)}]' for t in about.tags)}")
    _actions(workspace, run, about)
    with st.expander("Name, note and tags", icon=":material/edit:", expanded=bool(about.note)):
        _notes(workspace, run, about)
    view = st.segmented_control(
        "Show", list(VIEWS), required=True, label_visibility="collapsed", **keys.linked(keys.VIEW, _view, "Course")
    )
    with guarded():
        VIEWS[view](run)


def back_to_list() -> None:
    """From a callback: show the list again."""
    for parameter in (keys.RUN, keys.VIEW):
        keys.write(parameter, None)


def _view(text: str) -> str | None:
    return text if text in VIEWS else None


def _about(run: Run) -> About:
    try:
        return read_about(run)
    except DarkroomError as error:
        show_error(error)
        return About()


def _actions(workspace: Workspace, run: Run, about: About) -> None:
    query = {keys.RUN: run.id}
    offer_clone()
    with st.container(horizontal=True, vertical_alignment="center", key="run-actions"):
        if readers.was_evaluated(run):
            st.page_link(keys.EVALUATE, label="Evaluate", icon=":material/fact_check:", query_params=query)
        if run.has_bundle:
            st.page_link(keys.CLASSIFY, label="Classify", icon=":material/image_search:", query_params=query)
        st.page_link(
            keys.TRAIN,
            label="Clone with changes",
            icon=":material/content_copy:",
            query_params={keys.CLONE: run.id},
            help="Opens the training form with these settings, to change and start as a new run.",
        )
        st.button(
            "Favourite",
            key="run-favourite",
            icon=":material/star:",
            type="primary" if about.favourite else "secondary",
            help="Takes the mark off." if about.favourite else "Marks it in the list.",
            on_click=_change,
            args=(run, {"favourite": not about.favourite}),
        )
        st.button(
            "List again" if about.archived else "Archive",
            key="run-archive",
            icon=":material/unarchive:" if about.archived else ":material/archive:",
            help="The list leaves out what is archived, unless its filter asks.",
            on_click=_change,
            args=(run, {"archived": not about.archived}),
        )
        at_work = not run.status.ended
        st.button(
            "Delete",
            key="run-delete",
            icon=":material/delete:",
            disabled=at_work,
            help="Stop or cancel it first." if at_work else "Gives its disk back. Can be undone for ten minutes.",
            on_click=ask,
            args=(_DELETE,),
        )


def _notes(workspace: Workspace, run: Run, about: About) -> None:
    """Fields that are kept as soon as they are left."""
    name, note, tags = (f"run-{field}-{run.id}" for field in ("name", "note", "tags"))
    st.session_state[name], st.session_state[note] = about.name, about.note
    st.session_state[tags] = list(about.tags)
    st.text_input(
        "Name",
        key=name,
        max_chars=MAX_NAME,
        placeholder=run.id,
        on_change=lambda: _change(run, {"name": st.session_state[name]}),
    )
    known = {tag for other in list_runs(workspace) for tag in _tags(other)}
    st.multiselect(
        "Tags",
        sorted(known | set(about.tags)),
        key=tags,
        accept_new_options=True,
        placeholder="Choose or type, then Enter",
        on_change=lambda: _change(run, {"tags": st.session_state[tags]}),
    )
    st.text_area(
        "Note",
        key=note,
        max_chars=MAX_NOTE,
        on_change=lambda: _change(run, {"note": st.session_state[note]}),
    )


def _tags(run: Run) -> tuple[str, ...]:
    try:
        return read_about(run).tags
    except DarkroomError:
        return ()


def _change(run: Run, changes: dict[str, object]) -> None:
    keys.catch_up()
    try:
        write_about(run, **changes)
    except DarkroomError as error:
        st.toast(escape(error), icon=":material/error:")
