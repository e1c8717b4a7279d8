"""The keys of the REST API on Serve: make one, see which there are, revoke one."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from core.errors import DarkroomError
from core.serving.keys import Key, Keys
from pages._components.guard import show_error
from pages._components.text import escape

_NAME, _REVOKED, _SHOWN, _WRONG = "api-key-name", "api-key-revoked", "api-key-shown", "api-key-wrong"


def draw_keys(kept: Keys) -> None:
    """All that can be done about keys."""
    listed = kept.list()
    st.subheader("Keys", anchor=False)
    if listed:
        st.dataframe(
            [{"Name": key.name, "Id": key.id, "Created": datetime.fromtimestamp(key.created)} for key in listed],
            hide_index=True,
            height="content",
            column_config={"Created": st.column_config.DatetimeColumn("Created", format="localized")},
            key="api-keys",
        )
    else:
        st.caption("There is none, so programs on the machine Darkroom runs on are answered, and nobody else.")
    if shown := st.session_state.get(_SHOWN):
        _draw_new(*shown)
    make, end = st.columns(2)
    with make.form("api-key-create", enter_to_submit=True):
        st.text_input("Program", key=_NAME, max_chars=60, help="Which program gets the key, so that it can be told.")
        st.form_submit_button("Create a key", on_click=_create, args=(kept,), type="primary")
    if listed:
        with end.form("api-key-revoke"):
            ids = [key.id for key in listed]
            st.selectbox("Key", ids, format_func=lambda one: _named(one, listed), key=_REVOKED)
            st.form_submit_button(
                "Revoke it", on_click=_revoke, args=(kept,), help="Whoever uses it is refused from then on."
            )
    if wrong := st.session_state.pop(_WRONG, None):
        show_error(wrong)


def _draw_new(name: str, text: str) -> None:
    with st.container(border=True):
        st.markdown(f"The key for **{escape(name)}**. Copy it now: it is not kept, and cannot be shown again.")
        st.code(text, language=None, wrap_lines=True)
        st.button("I have it", on_click=lambda: st.session_state.pop(_SHOWN, None))


def _create(kept: Keys) -> None:
    try:
        key, text = kept.create(st.session_state[_NAME])
    except DarkroomError as error:
        st.session_state[_WRONG] = error
        return
    st.session_state[_SHOWN] = (key.name, text)
    st.session_state[_NAME] = ""


def _revoke(kept: Keys) -> None:
    try:
        kept.revoke(st.session_state[_REVOKED])
    except DarkroomError as error:  # somebody else did, a moment ago
        st.session_state[_WRONG] = error
    st.session_state.pop(_SHOWN, None)


def _named(key_id: str, listed: list[Key]) -> str:
    return next(key.name for key in listed if key.id == key_id)
