"""A key is made in the browser, and what the page shows works when pasted, against the dashboard's own server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from playwright.sync_api import expect

from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import serving
from tests.serving.served import colour_run, picture


def test_a_key_and_a_command_that_works(visit: Visit, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = colour_run(Workspace(home))
    (tmp_path / "photo.jpg").write_bytes(picture(240, 9, 9, "JPEG"))
    with serving(home) as server:
        visitor = visit(server)
        visitor.open("serve", run=run.id)

        def pasted(**variables: str) -> dict[str, object]:
            command = visitor.tab.get_by_test_id("stCode").first.inner_text().replace("\n", " ")
            env = {**os.environ, **variables}
            done = subprocess.run(["sh", "-c", f"{command} -s"], cwd=tmp_path, env=env, capture_output=True, timeout=60)
            return json.loads(done.stdout)

        assert pasted()["predictions"][0]["label"] == "red"  # type: ignore[index]
        visitor.tab.get_by_role("textbox", name="Program").fill("shop <b>*1*</b>")
        with visitor.redrawn():
            visitor.press("Create a key")
        text = visitor.tab.get_by_test_id("stCode").filter(has_text="dk_").inner_text().strip()
        assert "error" in pasted()
        assert pasted(DARKROOM_API_KEY=text)["predictions"][0]["label"] == "red"  # type: ignore[index]
        visitor.photographs("serve-key")
        with visitor.redrawn():
            visitor.press("I have it")
        expect(visitor.tab.get_by_text(text)).to_have_count(0)
        with visitor.redrawn():
            visitor.press("Revoke it")
        visitor.sees("Programs on this machine are answered without a key.")
        assert pasted()["predictions"][0]["label"] == "red"  # type: ignore[index]
        visitor.pick("Python")
        visitor.sees("import requests")
        visitor.finds_no_fault()
