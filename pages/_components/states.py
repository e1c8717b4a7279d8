"""How a job's state looks: always a word and a sign, with the colour as a third hint."""

from __future__ import annotations

from typing import Literal

import streamlit as st

Colour = Literal["gray", "blue", "orange", "green", "red", "violet"]

_LOOK: dict[str, tuple[Colour, str]] = {
    "queued": ("gray", "schedule"),
    "running": ("blue", "play_circle"),
    "stopping": ("orange", "pause_circle"),
    "stopped": ("orange", "stop_circle"),
    "finished": ("green", "check_circle"),
    "failed": ("red", "error"),
    "lost": ("violet", "help"),
    "stalled": ("violet", "motion_photos_paused"),
}


def look(state: str) -> tuple[Colour, str]:
    """The state's colour and its sign among Material's symbols."""
    return _LOOK[state]


def state_badge(state: str) -> None:
    """The state as a badge."""
    colour, sign = _LOOK[state]
    st.badge(state, icon=f":material/{sign}:", color=colour)


def state_text(state: str) -> str:
    """The state as Markdown, for a line of text or a table cell."""
    colour, sign = _LOOK[state]
    return f":{colour}-badge[:material/{sign}: {state}]"
