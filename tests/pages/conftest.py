"""Darkroom's pages as Streamlit's own test driver runs them: real scripts over a real workspace, without a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.data.datasets import ensure_builtin
from core.runs.model_size import ModelSize
from core.workspace import REPOSITORY, Workspace
from pages._components.train import start_bar
from tests.conftest import Trained

OpenPage = Callable[..., AppTest]


@pytest.fixture(scope="session")
def ready_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with Digits, made once: every test of a page would otherwise wait for its own."""
    home = tmp_path_factory.mktemp("ready") / "home"
    ensure_builtin(Workspace(home))
    return home


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, ready_home: Path) -> OpenPage:
    """Draws a page, as a link with these query parameters does, and makes sure that nothing went wrong.

    Call as `open_page("explore", dataset="digits")`.
    """
    monkeypatch.setenv("STREAMLIT_CLIENT_SHOW_ERROR_DETAILS", "full")
    # Else every drawing of Train starts a process that imports torch, and none of these tests waits for it.
    monkeypatch.setattr(start_bar, "model_size", lambda *_: ModelSize(1_234_567, 7_654, ""))
    st.cache_resource.clear()
    _furnish(Workspace.default().root, ready_home)

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


def _furnish(home: Path, ready: Path) -> None:
    """Give a workspace Digits."""
    if not (home / "datasets" / "digits").exists():
        shutil.copytree(ready / "datasets" / "digits", home / "datasets" / "digits", copy_function=os.link)
