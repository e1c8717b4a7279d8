"""The report in a real browser: made on the page, downloaded, and opened with the network blocked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from core.runs.store import Run
from tests.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.dashboard import Server

PAPER_PAGE = re.compile(rb"/Type\s*/Page\b")


def test_made_downloaded_and_opened_without_a_network(
    server: Server, digits_run: Run, visit: Visit, browser: Browser, tmp_path: Path
) -> None:
    tab = visit(server)
    tab.open("evaluate", run=digits_run.id, view="Hand it over")
    tab.press("Make the report")
    tab.sees("nothing it tells has changed since")
    tab.finds_no_fault()
    tab.photographs("hand-over")
    with tab.tab.expect_download() as download:
        tab.tab.get_by_role("button", name=re.compile(r"^\S*\s*Report \(HTML\)")).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == f"{digits_run.id}-report.html" and file.stat().st_size < 10_000_000

    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    try:
        page, asked, faults = context.new_page(), list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 16")
        assert page.get_by_role("heading", level=1).inner_text() == digits_run.id
        assert "test images are classified correctly" in page.inner_text("#summary")
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()] and not faults
        broken = "() => [...document.images].filter((one) => !one.complete || !one.naturalWidth).length"
        assert page.evaluate(broken) == 0
        paper = page.pdf(prefer_css_page_size=True)
        assert 5 <= len(PAPER_PAGE.findall(paper)) <= 40 and paper.startswith(b"%PDF")
        assert not faults, faults
        page.set_viewport_size({"width": 390, "height": 800})
        wide = "() => document.documentElement.scrollWidth"
        page.wait_for_function("() => document.documentElement.scrollWidth <= 390")
        assert page.evaluate(wide) <= 390, "nothing sticks out on a phone"
    finally:
        context.close()
