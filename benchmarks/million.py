"""How Explore bears 10,000, 100,000 and 1,000,000 images: `python benchmarks/million.py` prints one JSON line a figure.

The metadata is made up and fills every column; there are 100 classes and 1,000 real small images, whose thumbnails all
rows share. Each size is measured twice: in Streamlit's test driver (`script_s`: wall time of a run of the whole entry
script, frame and page), and on a real server in a real browser (`click_s`: from a click until the page rests), whose
resident memory is read at the end. Everything is kept in a temporary workspace.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from playwright.sync_api import expect, sync_playwright  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from core.data.checks import CHECKS  # noqa: E402
from core.data.manifest import COLUMNS, fingerprint, write_manifest  # noqa: E402
from core.data.probe import content_hash  # noqa: E402
from core.data.stored import DESCRIPTION  # noqa: E402
from core.files import write_json  # noqa: E402
from core.workspace import Workspace  # noqa: E402
from tests.browser.conftest import CHROMIUM, FLAGS  # noqa: E402
from tests.browser.dashboard import Server, Visitor, serving  # noqa: E402

SIZES = (10_000, 100_000, 1_000_000)
NUM_CLASSES, NUM_REAL = 100, 1_000
REPEATS = 7
VIEWS = {
    "Images": {},
    "Classes": {"view": "Classes & statistics"},
    "Sizes": {"view": "Classes & statistics", "charts": "Sizes"},
    "Light & detail": {"view": "Classes & statistics", "charts": "Light & detail"},
    "Formats": {"view": "Classes & statistics", "charts": "Formats"},
    "Colours": {"view": "Classes & statistics", "charts": "Colours"},
}
FILTERS = (
    {"class": "class_007"},
    {"brightness": "0.2..0.5"},
    {"find": "img_0001"},
    {"flag": "dark,blurry", "split": "train"},
    {"width": "500..1500", "class": "class_001,class_002,class_003"},
)


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many images the manifests have")
    parser.add_argument("--no-browser", action="store_true", help="only the script, without server and browser")
    options = parser.parse_args()
    for num_images in options.sizes:
        with tempfile.TemporaryDirectory(prefix="darkroom-million-") as place:
            workspace = Workspace(Path(place) / "home")
            os.environ["DARKROOM_HOME"] = str(workspace.root)
            dataset_id = make(workspace, Path(place) / "images", num_images)
            if not options.no_browser:
                with serving(workspace.root) as server:
                    in_browser(server, dataset_id, num_images)
            as_script(dataset_id, num_images)


def make(workspace: Workspace, root: Path, num_images: int) -> str:
    """A registered dataset of that many images; returns its id."""
    draw = np.random.default_rng(0)
    hashes = real_images(root)
    labels = np.arange(num_images) * NUM_CLASSES // num_images
    width, height = (draw.lognormal(6.5, 0.4, num_images).astype("int32") for _ in range(2))
    frame = pd.DataFrame(
        {
            "path": [f"class_{label:03}/img_{number:07}.png" for number, label in enumerate(labels.tolist())],
            "label": [f"class_{label:03}" for label in labels.tolist()],
            "split": draw.choice(["train", "val", "test"], num_images, p=[0.8, 0.1, 0.1]),
            "width": width,
            "height": height,
            "mode": draw.choice(["RGB", "L", "RGBA"], num_images, p=[0.95, 0.04, 0.01]),
            "format": draw.choice(["JPEG", "PNG"], num_images, p=[0.9, 0.1]),
            "num_bytes": (width.astype("int64") * height * draw.uniform(0.1, 0.4, num_images)).astype("int64"),
            "mtime_ns": 0,
            "content_hash": [hashes[number % NUM_REAL] for number in range(num_images)],
            "error": None,
            "group": None,
            "excluded": draw.random(num_images) < 0.001,
            "perceptual_hash": [f"{number:064x}" for number in range(num_images)],
            "duplicate_group": -1,
            "near_group": np.where(draw.random(num_images) < 0.05, np.arange(num_images) // 2, -1),
        }
    )
    frame["source_label"] = frame["label"]
    for name, kind in COLUMNS.items():
        if name not in frame and kind == "float32":
            frame[name] = draw.random(num_images, dtype=np.float32)
    for check in CHECKS:
        frame[f"is_{check.name}"] = frame[f"{check.name}_score"] < 0.02
    # The first file of each content is real, the others share its thumbnail.
    for number in range(min(NUM_REAL, num_images)):
        target = root / frame["path"].iloc[number]
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(root / f"{number}.png", target)
    frame = frame[list(COLUMNS)].astype(COLUMNS)
    folder = workspace.dataset("million")
    folder.mkdir(parents=True)
    write_manifest(folder, frame)
    good = ~frame["excluded"]
    description = {
        "id": "million",
        "name": "million",
        "root": str(root),
        "layout": "class folders",
        "created": time.time(),
        "num_images": int(good.sum()),
        "num_classes": NUM_CLASSES,
        "num_errors": 0,
        "ignored": {},
        "notes": [],
        "fingerprint": fingerprint(frame),
        "seconds": 1.0,
        "images_per_s": 1.0,
    }
    write_json(folder / DESCRIPTION, description)
    return "million"


def real_images(root: Path) -> list[str]:
    """Little files of noise, and the hash of each."""
    root.mkdir(parents=True)
    draw = np.random.default_rng(1)
    hashes = []
    for number in range(NUM_REAL):
        file = root / f"{number}.png"
        Image.fromarray(draw.integers(0, 255, (40, 40, 3), np.uint8)).save(file)
        hashes.append(content_hash(file.read_bytes()))
    return hashes


def as_script(dataset_id: str, num_images: int) -> None:
    """Runs of the whole script without a browser."""
    app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=300).run()
    app.query_params["dataset"] = dataset_id
    first = timed(lambda: app.switch_page("../explore.py").run())
    say("first run of Explore", num_images, script_s=first)
    for view, query in VIEWS.items():
        ask(app, dataset_id, query)
        first = timed(app.run)
        times = [timed(app.run) for _ in range(REPEATS)]
        checked(app)
        say(f"rerun, {view}", num_images, script_s=statistics.median(times), worst_s=max(times), first_s=first)
    for view, query in VIEWS.items():
        times = []
        for wanted in FILTERS:
            ask(app, dataset_id, {**query, **wanted})
            times.append(timed(app.run))
            checked(app)
        say(f"filter never asked for, {view}", num_images, script_s=statistics.median(times), worst_s=max(times))
    times = []
    for column in ("sharpness", "num_bytes", "blurry_score"):
        ask(app, dataset_id, {"sort": column, "falling": "True"})
        times.append(timed(app.run))
        checked(app)
    say("sort never asked for", num_images, script_s=statistics.median(times), worst_s=max(times))


def in_browser(server: Server, dataset_id: str, num_images: int) -> None:
    """Clicks, and the server's memory."""
    process = psutil.Process(server.process.pid)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visitor = Visitor(browser.new_page(viewport={"width": 1280, "height": 900}), server)
        visitor.open("overview")
        say("server before", num_images, rss_mb=process.memory_info().rss / 1e6)

        def opened(**query: str) -> Callable[[], None]:
            def open_it() -> None:
                visitor.open("explore", dataset=dataset_id, **query)
                expect(visitor.gallery("gallery")).not_to_have_count(0)

            return open_it

        say("first opening of Explore in a browser", num_images, click_s=timed(opened()))
        say("server with gallery", num_images, rss_mb=process.memory_info().rss / 1e6)
        say("reopening of Explore in a browser", num_images, click_s=timed(opened()))
        times = []
        for page in range(2, 2 + REPEATS):

            def turn(page: int = page) -> None:
                visitor.tab.get_by_role("button", name="Next page").click()
                visitor.tab.wait_for_url(f"**page={page}*")
                visitor.settles()

            times.append(timed(turn))
        say("next page, clicked", num_images, click_s=statistics.median(times), worst_s=max(times))
        times = []
        for number in range(REPEATS):
            name = f"class_{10 + number:03}"
            visitor.tab.get_by_role("combobox", name="Class", exact=True).click()
            visitor.tab.keyboard.type(name)
            option = visitor.tab.get_by_role("option", name=name, exact=True)
            expect(option).to_be_visible()

            def choose(name: str = name, option: object = option) -> None:
                option.click()  # type: ignore[attr-defined]
                visitor.tab.wait_for_url(f"**{name}*")
                visitor.settles()

            times.append(timed(choose))
        say("class filter, clicked", num_images, click_s=statistics.median(times), worst_s=max(times))
        for query in VIEWS.values():
            for wanted in ({}, *FILTERS):
                visitor.open("explore", dataset=dataset_id, **query, **wanted)
        visitor.open("explore", dataset=dataset_id, sort="sharpness", falling="True")
        about = process.memory_info()
        say("server after every view with every filter", num_images, rss_mb=about.rss / 1e6)
        say("server, highest", num_images, rss_mb=highest(process.pid))
        browser.close()


def highest(pid: int) -> float:
    """The most memory a process ever held, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def ask(app: AppTest, dataset_id: str, query: dict[str, str]) -> None:
    """Put the driver's browser at that address."""
    app.query_params.clear()
    app.query_params["dataset"] = dataset_id
    for name, value in query.items():
        app.query_params[name] = value


def checked(app: AppTest) -> None:
    """Only a page that was really drawn may count."""
    assert not app.exception and app.title[0].value == "What is in this dataset?", app.exception
    assert not app.error, app.error


def timed(action: Callable[[], object]) -> float:
    """Seconds it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def say(what: str, num_images: int, **figures: float) -> None:
    """One line of JSON."""
    rounded = {name: round(value, 3) for name, value in figures.items()}
    print(json.dumps({"what": what, "num_images": num_images, **rounded}), flush=True)


if __name__ == "__main__":
    main()
