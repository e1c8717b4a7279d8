"""The dashboard as tests meet it: a real server process, and what a person can see and do in its pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from core import jobs
from core.config import PRESETS, build_config
from core.data.datasets import ensure_builtin
from core.data.splits import divide
from core.jobs import ProcessIdentity
from core.runs.launch import start_run
from core.runs.store import Run, list_runs, open_run
from core.workspace import REPOSITORY, Workspace
from tests.running import free_port, launch_forked
from tests.waiting import wait_until

if os.environ.get("DARKROOM_REQUIRE_BROWSER") != "1":  # else the import below fails, and so does whoever imports this
    pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install -r requirements-dev.txt")
from playwright.sync_api import Dialog, FloatRect, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

HEADINGS = {
    "overview": "What is in this workspace?",
    "explore": "What is in this dataset?",
    "train": "How does training go?",
    "runs": "Which runs are there, and what became of them?",
    "sweeps": "Which settings are best?",
    "evaluate": "How good is this model?",
    "compare": "Which run is better?",
    "classify": "What is in this image?",
    "export": "Does the exported model do what the trained one does?",
    "serve": "How do other programs use this model?",
}
ARTIFACTS = REPOSITORY / "tests" / "artifacts"
AT_REST = '[data-testid="stApp"][data-test-script-state="notRunning"]'
WIDE, NARROW = 1280, 390  # pixels
PATIENCE_S = 60  # what a busy machine may take to draw a page or start a process
RUN_S = 300  # ... and to finish a small run
# Components draw in shadow roots, which no plain selector looks into; images below the fold are not loaded at all.
VISIBLE_IMAGES_LOADED = """() => {
  const within = (root) =>
    [...root.querySelectorAll("*")].flatMap((e) => [e, ...(e.shadowRoot ? within(e.shadowRoot) : [])]);
  const images = within(document).filter((e) => e.tagName === "IMG" && e.getBoundingClientRect().top < innerHeight);
  return images.every((image) => image.complete);
}"""
# The script starts a moment after a click: until then a page at rest is the one from before it.
COUNT_RUNS = """
window.darkroomRuns = 0;
new MutationObserver((changes) => {
  window.darkroomRuns += changes.filter((one) => one.target.dataset.testScriptState === "running").length;
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-test-script-state"] });
"""
STILL = 8  # looks in a row: while a figure is drawn what is below it stands still too, and then jumps
PICKS, PICK_S = 4, 8  # tries to pick an option, and seconds for each
START_S, REST_S = 10, 3  # how long to wait for a run that may not come, and for rest on a page that may follow a job
expect.set_options(timeout=1000 * PATIENCE_S)


def environment(home: Path) -> dict[str, str]:
    """What processes of the workspace `home` are started with."""
    return {**os.environ, "DARKROOM_HOME": str(home)}


def train(home: Path, dataset: str, epochs: int) -> Run:
    """Train from scratch by the command line and wait for the end."""
    command = [sys.executable, "-m", "core", "train", "--data", dataset, "--preset", "from-scratch", "--json"]
    command += ["--optim.epochs", str(epochs)]
    env = environment(home)
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=RUN_S)
    assert done.returncode == 0, done.stderr
    return open_run(Workspace(home), json.loads(done.stdout.splitlines()[-1])["run"])


def begin(home: Path, dataset: str, epochs: int) -> Run:
    """Start training from scratch as the form does, in a fork; see `launch_forked`."""
    config = build_config({"data.dataset": dataset, "optim.epochs": epochs, "stop.patience": 0}, "from-scratch")
    ensure_builtin(Workspace(home))  # before the first visit, too
    division = divide(Workspace(home), config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "launch", launch_forked)
        return start_run(Workspace(home), config, division.manifest, division.about())


def worker(run: Run) -> ProcessIdentity:
    """The process that trains the run, by what it says of itself."""
    status = run.status
    assert status.pid is not None and status.process_start_time is not None, status
    return ProcessIdentity(status.pid, status.process_start_time)


def end_runs(home: Path) -> None:
    """Kill every worker in the workspace that still lives."""
    for run in list_runs(Workspace(home)):
        if run.status.pid is not None and worker(run).is_alive():
            os.kill(worker(run).pid, signal.SIGKILL)


@dataclass(frozen=True)
class Server:
    """`streamlit run app.py`, in a session of its own, over the workspace `home`."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, home: Path) -> Server:
        """Start it on a free port and wait until it answers; its output goes to a file beside `home`."""
        port = free_port()
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        command += ["--server.headless", "true"]
        with open(home.parent / f"server-{port}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment(home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = cls(home, port, process)
        wait_until(server._answers, f"the server to answer, see {log.name}", PATIENCE_S)
        return server

    def stop(self) -> None:
        """End this one process, as a service manager would."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def url(self, page: str, **query: str) -> str:
        """The address of a page, as in a bookmark."""
        path = "" if page == "overview" else page  # the first page lives at the root
        return f"http://127.0.0.1:{self.port}/{path}" + (f"?{urlencode(query)}" if query else "")

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the server ended at once"
        try:
            return urllib.request.urlopen(self.url("_stcore/health"), timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = Server.start(home)
    try:
        yield server
    finally:
        server.stop()


class Visitor:
    """Somebody with a browser tab; what no page may do, such as open a dialog, is noted in `surprises`."""

    def __init__(self, tab: Page, server: Server) -> None:
        self.tab = tab
        self.server = server
        self.surprises: list[str] = []
        tab.set_default_timeout(1000 * PATIENCE_S)
        tab.add_init_script(COUNT_RUNS)
        tab.on("dialog", self._dialog)
        tab.on("pageerror", lambda error: self.surprises.append(f"script error: {error}"))

    def open(self, page: str, **query: str) -> None:
        """Follow a link to a page and wait until it is drawn."""
        self.tab.goto(self.server.url(page, **query))
        self.arrives(page)

    def arrives(self, page: str) -> None:
        """Wait until that page is drawn."""
        expect(self.tab.get_by_role("heading", level=1)).to_have_text(HEADINGS[page])
        self.settles()

    def settles(self) -> None:
        """Wait until the script has run and all it sent is drawn; see `redrawn` for what follows a click."""
        expect(self.tab.locator(AT_REST)).to_be_visible()
        expect(self.tab.get_by_test_id("stSkeleton")).to_have_count(0)

    def rests(self) -> None:
        """Wait until nothing is being drawn, so that what is acted on next is not a drawing about to be replaced.

        Not for long: a page that follows a job is drawn again and again.
        """
        with contextlib.suppress(AssertionError):
            expect(self.tab.locator(AT_REST)).to_be_visible(timeout=1000 * REST_S)

    @contextlib.contextmanager
    def redrawn(self) -> Iterator[None]:
        """Do something that makes the script run, and wait until what it says now is drawn.

        What changes nothing, such as picking what is picked, makes no script run, and is waited for in vain.
        """
        self.rests()
        before = self.tab.evaluate("() => window.darkroomRuns")
        yield
        with contextlib.suppress(PlaywrightTimeout):
            self.tab.wait_for_function("(before) => window.darkroomRuns !== before", arg=before, timeout=1000 * START_S)
        self.settles()

    def place_of(self, locator: Locator) -> FloatRect:
        """Where something is on the screen once it stays there: figures move while others above them are drawn."""
        self.settles()
        locator.scroll_into_view_if_needed()
        last: list[FloatRect | None] = [None]

        def stays() -> bool:
            last.append(locator.bounding_box())
            return last[-1] is not None and last[-STILL:] == [last[-1]] * STILL

        wait_until(stays, "it to stay where it is", PATIENCE_S)
        assert last[-1] is not None
        return last[-1]

    def opens(self, image: Locator) -> None:
        """Click on an image of a gallery and wait until its own page is drawn."""
        with self.redrawn():
            image.click()

    def sees(self, text: str | re.Pattern[str], within_s: float = PATIENCE_S) -> None:
        """Wait until the text can be read somewhere on the page."""
        expect(self.tab.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=1000 * within_s)

    def finds_no_fault(self) -> None:
        """There is neither an error on the page, nor anything unexpected in the browser."""
        for kind in ("stException", "stAlertContentError"):
            expect(self.tab.get_by_test_id(kind)).to_have_count(0)
        assert not self.surprises

    def press(self, button: str) -> None:
        """Press a button of the page at rest; what comes of it is for the caller to wait for."""
        self.rests()
        self.tab.get_by_role("button", name=button, exact=True).click()

    def pick(self, radio: str) -> None:
        """Press one segment of a segmented control and wait until what it shows is drawn; again where it was lost."""
        segment = self.tab.get_by_role("radio", name=radio, exact=True)
        for _ in range(PICKS):
            with contextlib.suppress(PlaywrightTimeout), self.redrawn():
                segment.click()
            self.rests()
            if segment.is_checked():
                return
        raise AssertionError(f"{radio} cannot be picked")

    def choose(self, label: str, option: str) -> None:
        """Pick from a select box what is not picked there yet, and wait until what that changes is drawn.

        Where the page is drawn while the list opens, the list may close, or the click fall on the option beside the
        one meant; then it is picked again.
        """
        box = self.tab.get_by_role("combobox", name=label, exact=True)
        for _ in range(PICKS):
            self.rests()
            box.click()
            with contextlib.suppress(PlaywrightTimeout), self.redrawn():
                self.tab.get_by_role("option", name=option, exact=True).click(timeout=1000 * PICK_S)
            if box.input_value() in (option, ""):  # a box for several shows what was picked elsewhere
                return
            box.press("Escape")
        raise AssertionError(f"{label} is {box.input_value()!r}, and not {option!r}")

    def set_number(self, group: str, label: str, value: int) -> None:
        """Type a number into the training form, opening its group first; those changed first are in the group main."""
        fields = self.tab.locator(f".st-key-group-{group}")
        if group != "main":
            fields.locator("summary").click()
        field = fields.get_by_label(label, exact=True)
        field.fill(str(value))
        with self.redrawn():
            field.press("Enter")

    def looks_at(self, folder: Path) -> None:
        """Name a folder in Overview's form for adding a dataset."""
        self.tab.get_by_text("Add a dataset").click()
        self.tab.get_by_role("textbox", name="Folder with images").fill(str(folder))
        self.press("Look")

    def starts_training(self, epochs: int) -> Run:
        """Fill in the form of Train and press Start; gives the run it opens."""
        self.open("train", dataset="digits")
        self.choose("Preset", "from-scratch")
        self.sees(PRESETS["from-scratch"][0])
        self.settles()  # the fields below that sentence are filled last
        self.set_number("main", "Epochs", epochs)
        self.sees(f"optim.epochs 25 \N{RIGHTWARDS ARROW} {epochs}")
        self.set_number("stop", "Patience", 0)  # early stopping would make the length of the run a matter of luck
        self.sees("stop.patience 8 \N{RIGHTWARDS ARROW} 0")
        expect(self.tab.get_by_text("Counting parameters")).to_have_count(0)  # when they are there, all is drawn anew
        self.press("Start")
        self.tab.wait_for_url("**run=*")
        return open_run(Workspace(self.server.home), parse_qs(urlsplit(self.tab.url).query)["run"][0])

    def figure(self, label: str) -> Locator:
        """The value of a metric on the page."""
        metric = self.tab.get_by_test_id("stMetric").filter(has=self.tab.get_by_text(label, exact=True))
        return metric.get_by_test_id("stMetricValue")

    def gallery(self, key: str) -> Locator:
        """The images of a gallery, which are buttons."""
        return self.tab.locator(f".st-key-{key} .grid button")

    def photographs(self, name: str) -> None:
        """Keep pictures of what stands on the page, light and dark; the width is the tab's."""
        assert self.tab.viewport_size is not None
        for theme, background in (("dark", "rgb(20, 24, 29)"), ("light", "rgb(255, 255, 255)")):
            self.tab.emulate_media(color_scheme=theme)
            expect(self.tab.get_by_test_id("stApp")).to_have_css("background-color", background)
            self.finds_no_fault()
            self.photograph(f"{name}-{theme}-{self.tab.viewport_size['width']}")

    def photograph(self, name: str) -> None:
        """Keep a picture of the page in `tests/artifacts` once its images are there."""
        expect(self.tab.get_by_test_id("stSkeleton").filter(visible=True)).to_have_count(0)
        self.tab.wait_for_function(VISIBLE_IMAGES_LOADED)
        self.snap(name)

    def snap(self, name: str) -> None:
        """Keep a picture as it is this instant."""
        ARTIFACTS.mkdir(exist_ok=True)
        self.tab.screenshot(path=ARTIFACTS / f"{name}.png", animations="disabled")

    def _dialog(self, dialog: Dialog) -> None:
        self.surprises.append(f"dialog: {dialog.message}")
        dialog.dismiss()
