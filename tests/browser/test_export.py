"""From a click to a ZIP whose predict.py answers, without Darkroom, what Darkroom answers."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from core.evaluation.predictions import read_predictions
from core.runs.store import Run
from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, expect


def test_export_download_and_run_it_elsewhere(server: Server, digits_run: Run, visit: Visit, tmp_path: Path) -> None:
    visitor = visit(server)
    visitor.open("export", run=digits_run.id)
    visitor.sees("Nothing that is ready has been exported from this run.")
    visitor.press("Export it")
    visitor.sees("get the class that PyTorch gives them", within_s=RUN_S)
    expect(visitor.tab.locator(".stMarkdownBadge").filter(has_text="ready")).to_be_visible()
    visitor.photographs("export-ready")
    with visitor.tab.expect_download() as download:
        visitor.tab.get_by_role("button", name="Download ZIP").click()
    download.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        archive.extractall(tmp_path)
    program = tmp_path / f"{digits_run.id}-onnx" / "predict.py"
    answers = read_predictions(digits_run.folder)
    assert answers is not None
    rows = answers[answers["split"] == "test"].head(20)
    images = [server.home / "datasets" / "digits" / "images" / path for path in rows["path"]]
    command = [sys.executable, "-I", str(program), *map(str, images), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path)
    found = json.loads(done.stdout.splitlines()[-1])["predictions"]
    assert [row["label"] for row in found] == rows["predicted"].tolist()
    visitor.finds_no_fault()
