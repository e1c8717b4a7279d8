"""Classes and folders named like markup stand on every page as the text they are."""

from __future__ import annotations

from core.config import build_config
from core.data.datasets import list_datasets
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, Visitor, begin, expect
from tests.conftest import ImageFolder
from tests.running import know_size
from tests.waiting import wait_until

CLASSES = [
    "<script>alert(1)<script>",  # a slash cannot be in the name of a folder
    "<img src=x onerror=alert(1)>",
    "](x)",
    "[go](javascript:alert(1))",
    "**bold** $x^2$ :material-home:",
    "\"double\" and 'single'",
    "\u732b \u306d\u3053",
]
FOLDER = "](x) <img src=x onerror=alert(1)> \u732b"
ALIVE = 'a[href="x"], a[href^="javascript"], img[src="x"], strong:text("bold"), .katex'  # what markup would have become


def test_names_like_markup_are_shown_as_text(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    folder = image_folder(name=FOLDER, counts=dict.fromkeys(CLASSES, 6))
    visitor = visit(server)
    visitor.open("overview")
    visitor.looks_at(folder)
    visitor.sees(str(folder))
    _nothing_came_alive(visitor)
    visitor.press("Add dataset")
    visitor.arrives("explore")
    expect(visitor.gallery("gallery")).to_have_count(6 * len(CLASSES))
    assert {*visitor.gallery("gallery").locator(".line").all_inner_texts()} == {*CLASSES}
    visitor.opens(visitor.gallery("gallery").first)
    visitor.press("Back")
    expect(visitor.gallery("gallery")).to_have_count(6 * len(CLASSES))
    for number, name in enumerate(CLASSES, 1):
        visitor.choose("Class", name)  # beside those chosen before
        expect(visitor.gallery("gallery")).to_have_count(6 * number)
        assert {*visitor.gallery("gallery").locator(".line").all_inner_texts()} == {*CLASSES[:number]}
        _nothing_came_alive(visitor)
    visitor.tab.keyboard.press("Escape")  # closes the list, behind which nothing can be reached
    for view in ("Classes & statistics", "Health", "Label issues", "Splits", "Edits", "Unreadable files", "Images"):
        visitor.pick(view)
        _nothing_came_alive(visitor)
        visitor.photograph(f"names-explore-{view.split()[0].lower()}")

    dataset = next(one for one in list_datasets(Workspace(server.home)) if one.name == FOLDER)
    know_size(Workspace(server.home), build_config({}), len(CLASSES))  # else a process counts while pages are drawn
    run = begin(server.home, dataset.id, epochs=1)
    wait_until(lambda: run.status.ended, "the run to end")
    assert run.status.state == "finished", run.log_tail()
    for page in ("overview", "train", "evaluate"):
        visitor.open(page, run=run.id, dataset=dataset.id)
        _nothing_came_alive(visitor)
        visitor.photograph(f"names-{page}")
    visitor.pick("Confusion")
    expect(visitor.tab.locator(".st-key-confusion th.row")).to_have_text(sorted(CLASSES))
    for view in ("Classes", "ROC and precision", "Mistakes", "Training curves"):
        visitor.pick(view)
        _nothing_came_alive(visitor)
        visitor.photograph(f"names-evaluate-{view.split()[0].lower()}")
    visitor.open("classify", run=run.id)
    visitor.tab.locator('[data-testid="stFileUploader"] input').set_input_files(next(folder.glob("*/0000.png")))
    visitor.sees("1 image classified")
    assert {*visitor.tab.locator(".st-key-answer-cards .label").all_inner_texts()} <= {*CLASSES}
    _nothing_came_alive(visitor)
    visitor.photograph("names-classify")


def _nothing_came_alive(visitor: Visitor) -> None:
    visitor.settles()
    expect(visitor.tab.locator(ALIVE)).to_have_count(0)
    visitor.finds_no_fault()
