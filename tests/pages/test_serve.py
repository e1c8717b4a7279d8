"""Serve shows programs that ask for this model, and makes and revokes keys."""

from __future__ import annotations

from core.serving.keys import Keys
from core.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.serving.served import colour_run


def test_snippets_and_keys(workspace: Workspace, open_page: OpenPage) -> None:
    other, run = colour_run(workspace), colour_run(workspace)
    app = open_page("serve", run=run.id)
    assert "without a key" in app.markdown[0].value and len(app.selectbox) == 1
    assert f"/api/v1/models/{run.id}/predict" in app.code[0].value and "Bearer" not in app.code[0].value
    app.text_input(key="api-key-name").set_value("*shop*")
    app.button[0].click().run()
    (key,) = Keys(workspace).list()
    text = next(code.value for code in app.code if code.value.startswith("dk_"))
    assert key.name == "*shop*" and Keys(workspace).accept(text) == key
    assert any("\\*shop\\*" in one.value for one in app.markdown)
    assert "needs a key" in app.markdown[0].value and "$DARKROOM_API_KEY" in app.code[0].value
    next(button for button in app.button if button.label == "I have it").click().run()
    assert not any("dk_" in code.value for code in app.code)

    app.text_input(key="api-key-name").set_value("*shop*")
    next(button for button in app.button if button.label == "Create a key").click().run()
    assert "already" in app.error[0].value and len(Keys(workspace).list()) == 1
    app.segmented_control[0].set_value("Python").run()
    assert "import requests" in app.code[0].value and run.id in app.code[0].value
    app.selectbox(key="api-key-revoked").set_value(key.id)
    next(button for button in app.button if button.label == "Revoke it").click().run()
    assert not Keys(workspace) and "without a key" in app.markdown[0].value
    assert other.id in open_page("serve", run=other.id).code[0].value


def test_without_a_model_it_says_what_comes_first(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("serve")
    assert "no model yet" in app.info[0].value and not app.code


def test_keys_that_cannot_be_read_are_told(workspace: Workspace, open_page: OpenPage) -> None:
    colour_run(workspace)
    workspace.api_keys.write_text("half a fi")
    assert "keys" in open_page("serve").error[0].value
