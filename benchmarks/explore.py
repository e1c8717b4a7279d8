"""How Explore bears a large dataset: `python benchmarks/explore.py FOLDER_OF_IMAGES` prints one JSON line a figure.

Figures: images indexed a second; seconds to index again when nothing has changed; seconds to rerun the page's script;
how much memory the server gains while a browser leafs through the gallery. Everything is kept in a temporary workspace.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from playwright.sync_api import expect, sync_playwright  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from tests.browser.conftest import CHROMIUM, FLAGS  # noqa: E402
from tests.browser.dashboard import VISIBLE_IMAGES_LOADED, Visitor, serving  # noqa: E402

NUM_RERUNS = 9
NUM_PAGES = 50
VIEWS = ("Images", "Classes & statistics", "Health")


def main() -> None:
    """Measure everything on one dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of images, such as CIFAR-10 as class folders")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        home = Path(place) / "home"
        os.environ["DARKROOM_HOME"] = str(home)
        dataset = index(data, "first index, nothing known")
        index(data, "second index, nothing changed")
        for view in VIEWS:
            rerun(dataset["dataset"], view)
        leaf_through(home, dataset["dataset"])


def index(data: Path, what: str) -> dict[str, Any]:
    """Index by the command line; the time includes the start of the process."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "core", "index", str(data), "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - began
    row = json.loads(done.stdout.splitlines()[-1])
    say(what, seconds=seconds, num_images=row["num_images"], images_per_s=row["images_per_s"])
    return row


def rerun(dataset_id: str, view: str) -> None:
    """The whole script, frame and page, with the caches filled by a first run, as when somebody touches a widget."""
    app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=300).run()
    app.query_params["dataset"] = dataset_id
    app.query_params["view"] = view
    first = timed_run(app.switch_page("../explore.py"))
    assert not app.exception and app.title[0].value == "What is in this dataset?", app.exception
    times = [timed_run(app) for _ in range(NUM_RERUNS)]
    assert (app.sidebar.selectbox[0].value, app.button_group[0].value) == (dataset_id, view), (
        "another page was measured"
    )
    say(
        f"rerun of Explore, {view}",
        median_s=statistics.median(times),
        worst_s=max(times),
        first_s=first,
        measured=f"wall time of AppTest.run() on the entry script, {NUM_RERUNS} reruns after the first",
    )


def timed_run(app: AppTest) -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    app.run()
    return time.perf_counter() - began


def leaf_through(home: Path, dataset_id: str) -> None:
    """A real server's memory before and after a real browser has shown all of `NUM_PAGES` gallery pages."""
    with serving(home) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visitor = Visitor(browser.new_page(viewport={"width": 1280, "height": 900}), server)
        process = psutil.Process(server.process.pid)
        visitor.open("explore", dataset=dataset_id)
        all_shown(visitor)
        before = process.memory_info()
        began = time.perf_counter()
        for page in range(2, NUM_PAGES + 2):
            visitor.tab.get_by_role("button", name="Next page").click()
            visitor.tab.wait_for_url(f"**page={page}*")
            all_shown(visitor)
        seconds = time.perf_counter() - began
        after = process.memory_info()
        say(
            f"{NUM_PAGES} gallery pages in a browser",
            grown_mb=(after.rss - before.rss) / 1e6,
            grown_without_file_pages_mb=(after.rss - after.shared - before.rss + before.shared) / 1e6,
            before_mb=before.rss / 1e6,
            s_per_page=seconds / NUM_PAGES,
            measured="resident memory of the server process by psutil, from the first gallery page shown to the last",
        )
        browser.close()


def all_shown(visitor: Visitor) -> None:
    """Scroll through the gallery until every thumbnail is there."""
    visitor.settles()
    tiles = visitor.gallery("gallery")
    expect(tiles).not_to_have_count(0)
    for tile in tiles.all()[::6]:
        tile.scroll_into_view_if_needed()
    expect(visitor.tab.locator(".st-key-gallery .square.gone")).to_have_count(0)
    visitor.tab.wait_for_function(VISIBLE_IMAGES_LOADED)


def say(what: str, **figures: float | str) -> None:
    """One line of JSON."""
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


if __name__ == "__main__":
    main()
