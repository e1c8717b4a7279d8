"""Darkroom's pages as Streamlit's own test driver runs them: real scripts over a real workspace, without a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.workspace import REPOSITORY
from tests.conftest import Trained

OpenPage = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Draws a page, as a link with these query parameters does, and makes sure that nothing went wrong.

    Call as `open_page("explore", dataset="digits")`.
    """
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    st.cache_resource.clear()

    def draw(page: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=60).run()
        app.switch_page(f"../{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return draw


@pytest.fixture
def with_run(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A workspace with one finished run, for the pages and for every process they start. Read it, do not change it."""
    monkeypatch.setenv("DARKROOM_HOME", str(trained.workspace.root))
    return trained
