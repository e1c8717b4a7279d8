"""Every page opens by its address on a server that has just started, in light and dark, wide and narrow."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from core.config import build_config
from core.runs.store import Run
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import HEADINGS, NARROW, WIDE, Server, expect, serving
from tests.running import know_size


@pytest.fixture(scope="module")
def empty_home(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with nothing in it but Digits, once the first server has written them."""
    home = tmp_path_factory.mktemp("empty") / "home"
    know_size(Workspace(home), build_config({}), num_classes=10)  # else a process counts while pages are drawn
    return home


def test_a_deep_link_is_the_first_thing_a_new_server_sees(empty_home: Path, visit: Visit) -> None:
    with serving(empty_home) as server:
        visitor = visit(server)
        for page, width in itertools.product(reversed(HEADINGS), (WIDE, NARROW)):
            visitor.tab.set_viewport_size({"width": width, "height": 900})
            visitor.open(page)
            links = visitor.tab.get_by_test_id("stSidebarNavLink")
            expect(links).to_contain_text([name.capitalize() for name in HEADINGS])
            visitor.photographs(f"{page}-new")


def test_every_page_with_a_trained_run(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = visit(server)
    for page, width in itertools.product(HEADINGS, (WIDE, NARROW)):
        visitor.tab.set_viewport_size({"width": width, "height": 900})
        visitor.open(page)
        visitor.photographs(f"{page}-trained")
        overflow = visitor.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{page} scrolls sideways by {overflow} pixels at {width}"


def test_an_address_that_leads_nowhere_says_so(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.tab.goto(server.url("no-such-page"))
    visitor.sees("Page not found")
    visitor.open("explore", dataset="no-such-dataset")
    visitor.sees("There is no dataset with the id of this address")
    visitor.finds_no_fault()
