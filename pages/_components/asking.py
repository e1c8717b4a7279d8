"""Buttons whose press is not lost: a quick next click may end the script before it gets to them.

`st.button(label, on_click=ask, args=(name,))`, and where the press is acted on, `if asked(name): ...`. What acts must
not draw anything before it has acted.
"""

from __future__ import annotations

import streamlit as st


def ask(name: str) -> None:
    """Button callback: note the press."""
    st.session_state[_key(name)] = True


def asked(name: str) -> bool:
    """Whether it was pressed since this was last asked."""
    return bool(st.session_state.pop(_key(name), False))


def _key(name: str) -> str:
    return f"asked-{name}"
