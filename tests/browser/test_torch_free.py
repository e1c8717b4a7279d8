"""Drawing pages and classifying an image leave torch out of the server: it costs seconds and hundreds of megabytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.runs.store import Run
from core.workspace import REPOSITORY
from tests.browser.conftest import Visit
from tests.browser.dashboard import HEADINGS, Server, environment

DRAW_EVERY_PAGE = """
import sys
from pathlib import Path
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("pages/_shell/main.py", default_timeout=60).run()
for page in ("overview", "explore", "train", "evaluate", "export", "serve", "classify"):
    app.switch_page(f"../{page}.py").run()
    assert not app.exception, (page, app.exception)
    assert app.title[0].value, page
app.file_uploader(key="uploads").upload("digit.png", Path(sys.argv[1]).read_bytes(), "image/png").run()
assert not app.exception and "1 image classified" in app.subheader[0].value, app
loaded = {name for name in sys.modules if name.partition(".")[0] in ("torch", "torchvision", "timm")}
assert "onnxruntime" in sys.modules and not loaded, sorted(loaded)[:5]
"""


def test_the_server_maps_no_torch_library(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = visit(server)
    for page in HEADINGS:
        visitor.open(page)
    visitor.open("classify", run=digits_run.id)
    visitor.tab.locator('[data-testid="stFileUploader"] input').set_input_files(_digit(server.home))
    visitor.sees("1 image classified")
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "onnxruntime" in mapped, "this is not the process that classified"
    assert "libtorch" not in mapped


def test_the_pages_import_no_torch(digits_run: Run, home: Path) -> None:
    command = [sys.executable, "-c", DRAW_EVERY_PAGE, str(_digit(home))]
    env = environment(home) | {"STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full"}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _digit(home: Path) -> Path:
    return next((home / "datasets" / "digits" / "images" / "3").glob("*.png"))
