"""Classify in a real browser: a folder, an archive, an image opened, where the model looks, and images kept."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from core.data.captures import list_collections
from core.runs.store import Run
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Locator, Server, Visitor, expect
from tests.waiting import wait_until

ANSWERED = re.compile(r"^30 images classified\b.*, \d files? not$")  # of some the model may rather say nothing


@pytest.fixture
def digits(server: Server, tmp_path: Path) -> Path:
    """A folder of thirty digits and one file that is no image: more than are classified while the page is drawn."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    images = server.home / "datasets" / "digits" / "images"
    for label in ("1", "7", "8"):
        for number, image in enumerate(sorted((images / label).glob("*.png"))[:10]):
            place = folder if number % 2 else folder / "deeper"
            (place / f"{label}-{number}.png").write_bytes(image.read_bytes())
    (folder / "letter.png").write_text("Dear model, I am a letter.")
    return folder


@pytest.mark.usefixtures("no_collections")
def test_a_folder_is_classified_filtered_explained_and_kept(
    server: Server, digits_run: Run, visit: Visit, digits: Path
) -> None:
    visitor = visit(server)
    visitor.open("classify", run=digits_run.id)
    visitor.pick("Folder")
    visitor.tab.locator('[data-testid="stFileUploader"] input').set_input_files(digits)
    visitor.sees(ANSWERED)
    cards = visitor.tab.locator(".st-key-answer-cards article")
    expect(cards.first).to_contain_text("letter.png")
    expect(cards.first).to_contain_text("Not classified.")
    visitor.tab.get_by_label("Part of the name").fill("7-3")
    visitor.tab.keyboard.press("Enter")
    expect(cards).to_have_count(1)

    cards.get_by_role("button", name=re.compile("^Open ")).click()
    opened = visitor.tab.locator(".st-key-opened")
    expect(opened).to_contain_text("7-3.png as it came")
    visitor.tab.locator(".st-key-ask-map button").click()
    expect(opened.get_by_text("Where it looks for 7")).to_be_visible(timeout=120_000)
    visitor.settles()
    visitor.photographs("classify-opened")

    _tick(visitor, cards)
    visitor.tab.locator(".st-key-ticked-keep-button button").click()
    visitor.sees("1 image kept in Photos from Classify")
    wait_until(lambda: len(list_collections(Workspace(server.home))) == 1, "the collection")
    (collection,) = list_collections(Workspace(server.home))
    (stored,) = (collection.folder / "images").glob("*/*")
    assert stored.read_bytes() == (digits / "7-3.png").read_bytes()
    expect(cards.first).to_contain_text("kept as")
    visitor.finds_no_fault()
    visitor.tab.reload()
    visitor.sees(ANSWERED)  # the address says which images


def test_an_archive_goes_to_disk_and_is_classified(
    server: Server, digits_run: Run, visit: Visit, digits: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for image in sorted(digits.rglob("*.png")):
            packed.write(image, image.relative_to(digits))
        packed.writestr("../out.png", "x")
    visitor = visit(server)
    visitor.open("classify", run=digits_run.id)
    visitor.pick("ZIP or tar")
    visitor.tab.locator(".st-key-upload-archive input[type=file]").set_input_files(archive)
    visitor.sees(ANSWERED)
    expect(visitor.tab.locator(".st-key-answer-cards article").filter(has_text="out.png")).to_contain_text("leads out")
    visitor.tab.locator(".st-key-forget-batch button").filter(visible=True).first.click()
    expect(visitor.tab.locator(".st-key-answer-cards article")).to_have_count(0)
    visitor.finds_no_fault()


def _tick(visitor: Visitor, cards: Locator) -> None:
    with visitor.redrawn():
        cards.first.locator(".tick input").check()
