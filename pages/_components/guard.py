"""Turns failures into words on the page: what happened and what to do; tracebacks go to the log only."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import DarkroomError
from core.workspace import Workspace
from pages._components.text import escape

_log = logging.getLogger("darkroom")


@contextmanager
def guarded() -> Iterator[None]:
    """Show a `DarkroomError` where it happened and go on after the block; anything else passes through."""
    try:
        yield
    except DarkroomError as error:
        show_error(error)


def fragment(draw: Callable[..., None], run_every: float | None = None) -> Callable[..., None]:
    """`st.fragment` that shows a `DarkroomError` in its own place and leaves the rest of the page alone.

    Args:
        run_every: seconds between redraws, None where only a click inside redraws it.
    """

    @functools.wraps(draw)
    def guarded_draw(*arguments: Any) -> None:
        with guarded():
            draw(*arguments)

    return st.fragment(guarded_draw, run_every=run_every)


def show_error(error: DarkroomError) -> None:
    """What happened in the first line, what to do in the second."""
    words = escape(error.message) + (f"\n\n{escape(error.fix)}" if error.fix else "")
    st.error(words, icon=":material/error:")


def show_failure(error: Exception) -> bool:
    """What a page shows in place of an uncaught exception. For `st.App(on_script_error=...)`.

    Returns:
        True: Streamlit shows nothing of its own.
    """
    if isinstance(error, DarkroomError):
        show_error(error)
        return True
    log = _log_file()
    _log.error("A page failed.", exc_info=error)
    st.error(
        "Something went wrong while drawing this page, which is a fault in Darkroom and not yours. "
        "Your datasets and runs are untouched. Reload the page to try again.\n\n"
        + (f"What happened is in {escape(str(log))}." if log else "What happened is in the terminal Darkroom runs in."),
        icon=":material/error:",
    )
    return True


def _log_file() -> Path | None:
    """The file tracebacks go to, or None where it cannot be written and they go to the terminal alone."""
    try:
        path = Workspace.default().server_log
        if not any(isinstance(h, logging.FileHandler) and h.baseFilename == str(path) for h in _log.handlers):
            _log.addHandler(logging.FileHandler(path, encoding="utf-8"))
    except (DarkroomError, OSError):
        return None
    return path
