"""The images a session has brought to Classify: one batch, named by the address, so that a reload shows it again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from core.errors import DarkroomError
from core.inference.batches import Batch, add_files, add_source, find_batch, forget_batch, start_batch
from core.workspace import Workspace
from pages._components import keys

_ID = "batch-id"
_SAID = "batch-said"  # an error to show when the page is drawn
_BEGIN = "batch-begin"  # somebody brought something: what waits is to be classified without being asked again


def current(workspace: Workspace) -> Batch | None:
    """The batch of the address, else the session's; None where there is none any more."""
    asked = st.query_params.get(keys.BATCH) or st.session_state.get(_ID)
    if not asked:
        return None
    batch = find_batch(workspace, asked)
    if batch is None:
        _forget_id()
        return None
    st.session_state[_ID] = batch.id
    if st.query_params.get(keys.BATCH) != batch.id:
        keys.write(keys.BATCH, batch.id)
    return batch


def bring_files(workspace: Workspace, files: Iterable[tuple[str, bytes]]) -> None:
    """Add files, (name, bytes) of each, to the batch; also from a callback, where a failure is kept for `said`."""
    try:
        add_files(_current_or_new(workspace), files)
    except DarkroomError as error:
        st.session_state[_SAID] = error
    begin()


def bring_source(workspace: Workspace, kind: str, path: Path) -> None:
    """Add an `archive` or a `folder` of this machine to the batch; raises as `core.inference.batches.add_source`."""
    add_source(_current_or_new(workspace), kind, path)
    begin()


def begin() -> None:
    """What waits is to be classified, also where it was cancelled before."""
    st.session_state[_BEGIN] = True


def begun() -> bool:
    """Whether `begin` was called since this was last asked."""
    return bool(st.session_state.pop(_BEGIN, False))


def said() -> DarkroomError | None:
    """What went wrong when files were brought, once."""
    return st.session_state.pop(_SAID, None)


def forget(batch: Batch) -> None:
    """From a callback: delete the batch's images and answers."""
    forget_batch(batch)
    _forget_id()


def _current_or_new(workspace: Workspace) -> Batch:
    batch = current(workspace)
    if batch is None:
        batch = start_batch(workspace)
        st.session_state[_ID] = batch.id
        keys.write(keys.BATCH, batch.id)
    return batch


def _forget_id() -> None:
    st.session_state.pop(_ID, None)
    keys.write(keys.BATCH, None)
