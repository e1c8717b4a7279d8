"""What goes wrong is said in words, where it happened, and never as a traceback."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from core.workspace import Workspace
from pages._components.text import escape
from tests.pages.reading import texts


def _script() -> None:
    import streamlit as st

    from core.errors import DarkroomError
    from pages._components.guard import fragment, guarded, show_failure

    def fails() -> None:
        raise DarkroomError("The file *a_b* is gone.", "Put it back.")

    with guarded():
        fails()
    fragment(fails)()
    st.write("still here")
    show_failure(DarkroomError("Told by the server.", ""))
    try:
        raise KeyError("secret detail")
    except KeyError as error:
        show_failure(error)


def test_known_failures_name_the_fix_and_others_the_log(workspace: Workspace) -> None:
    workspace.root.mkdir()
    app = AppTest.from_function(_script).run()
    assert not app.exception
    messages = [one.value.replace("\\", "") for one in app.error]
    assert messages[:2] == ["The file *a_b* is gone.\n\nPut it back."] * 2
    assert messages[2] == "Told by the server."
    assert "still here" in texts(app)
    assert "secret detail" not in messages[3] and str(workspace.server_log) in messages[3]
    assert "KeyError: 'secret detail'" in workspace.server_log.read_text()


@pytest.mark.parametrize(
    "name",
    [
        "*b* _i_ `c`",
        "](x)",
        "<script>",
        "$x^2$",
        ":red[x]",
        "# h",
        "1. one",
        "> q",
        "~~s~~",
        "a & b",
        "![i](http://a/b)",
    ],
)
def test_no_mark_of_markdown_is_left_unescaped(name: str) -> None:
    escaped = escape(name)
    assert escaped.replace("\\", "").replace("\N{WORD JOINER}", "") == name
    for place, character in enumerate(escaped):
        if character in "*_`[]<>$:#~&!()":
            assert escaped[place - 1] == "\\"


def test_nothing_becomes_a_link_an_icon_or_a_second_line() -> None:
    for lively in ("http://", "www.", ":material/", "->", "--"):
        assert lively not in escape(f"{lively}x").replace("\\", "")
    assert "\n" not in escape("a\n\n# b")
