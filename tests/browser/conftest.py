"""A real server, a real browser and a trained model for the tests of the whole app."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.config import PRESETS, build_config
from core.data.captures import list_collections
from core.data.datasets import ensure_builtin
from core.runs.store import Run, list_runs, open_run
from core.workspace import Workspace
from tests.conftest import made_once
from tests.running import know_size

if TYPE_CHECKING:  # imported where used: without Playwright there are no such tests, but pytest still reads this file
    from playwright.sync_api import Browser

    from tests.browser.dashboard import Server, Visitor

HERE = Path(__file__).parent
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
_REPORT = pytest.StashKey[pytest.TestReport]()
Visit = Callable[["Server"], "Visitor"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser test that fails is run once more, and the report says so (R).

    A server, a browser and a worker share two cores here, and a click that falls into a drawing is lost now and then;
    what fails twice is a fault.
    """
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how the test itself went, for the pictures `visit` takes of a failure."""
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Where it is missing tests are skipped, or fail if DARKROOM_REQUIRE_BROWSER=1."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        refuse = pytest.fail if os.environ.get("DARKROOM_REQUIRE_BROWSER") == "1" else pytest.skip
        refuse(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens a tab, in a browser profile of its own, on a server; no page may misbehave in it until the test ends."""
    from tests.browser.dashboard import WIDE, Visitor

    visitors: list[Visitor] = []

    def open_tab(server: Server) -> Visitor:
        context = browser.new_context(viewport={"width": WIDE, "height": 900}, permissions=["camera"])
        visitors.append(Visitor(context.new_page(), server))
        return visitors[-1]

    yield open_tab
    report = request.node.stash.get(_REPORT, None)
    for number, visitor in enumerate(visitors):
        if report is not None and report.failed:
            visitor.snap(f"failed-{request.node.name}-{number}")
        visitor.tab.context.close()
    assert not [surprise for visitor in visitors for surprise in visitor.surprises]


@pytest.fixture(scope="session")
def home(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The workspace most tests share; whatever still trains in it at the end is ended."""
    from tests.browser.dashboard import end_runs

    home = tmp_path_factory.mktemp("shared") / "home"
    for preset in PRESETS:  # counted by processes that import torch, which would take the machine from the tests
        know_size(Workspace(home), build_config({}, preset), num_classes=10)
    yield home
    end_runs(home)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """A server over the shared workspace."""
    from tests.browser.dashboard import serving

    with serving(home) as server:
        yield server


@pytest.fixture(scope="session")
def digits_run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small network trained on Digits by the command line, finished and evaluated."""
    from tests.browser.dashboard import train

    made = made_once(tmp_path_factory, "digits", lambda folder: train(folder / "home", "digits", epochs=4))
    (run,) = list_runs(Workspace(made / "home"))
    ensure_builtin(Workspace(home))
    shutil.copytree(run.folder, Workspace(home).run(run.id))
    return open_run(Workspace(home), run.id)


@pytest.fixture
def no_collections(home: Path) -> None:
    """The shared workspace without the collections other tests made: with one, pages offer to add to it instead."""
    for collection in list_collections(Workspace(home)):
        shutil.rmtree(collection.folder)
