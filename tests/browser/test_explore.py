"""A folder of images is looked at, shown back, kept, and its images opened one by one."""

from __future__ import annotations

from pathlib import Path

from core.data.datasets import list_datasets
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, expect
from tests.conftest import ImageFolder


def test_register_a_folder_and_look_at_an_image(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    folder = image_folder(name="my photos", counts={"cat": 8, "dog": 70})
    (folder / "cat" / "broken.jpg").write_bytes(b"\xff\xd8 not a photo")
    (folder / "notes.txt").write_text("not an image")
    visitor = visit(server)
    visitor.open("overview")
    before = list_datasets(Workspace(server.home))
    visitor.looks_at(folder)
    visitor.sees("2 classes, 78 images, 1 unreadable, class folders")
    visitor.sees("Left out: 1 .txt")
    assert list_datasets(Workspace(server.home)) == before, "stored before it was accepted"
    visitor.photograph("overview-review")
    visitor.press("Add dataset")
    visitor.arrives("explore")
    visitor.sees("2 classes, 78 images, 1 unreadable, class folders; the largest class has 8.75 times as many")

    visitor.choose("Class", "dog")
    visitor.sees("70 of 78 images")  # all 78 have a second page too
    visitor.tab.keyboard.press("Escape")  # more classes could be chosen
    with visitor.redrawn():
        visitor.tab.get_by_role("button", name="Page 2").click()
    expect(visitor.gallery("gallery")).to_have_count(10)
    expect(visitor.gallery("gallery").first.locator("img")).to_have_js_property("naturalWidth", 24)
    visitor.opens(visitor.gallery("gallery").first)
    visitor.sees("dog/0060.png")
    visitor.sees("24 x 18 pixels")
    large = visitor.tab.get_by_role("img", name="dog: dog/0060.png")
    expect(large).to_have_js_property("naturalWidth", 24)
    visitor.photograph("explore-image")
    visitor.press("Back")
    expect(visitor.gallery("gallery")).to_have_count(10)
    visitor.finds_no_fault()


def test_a_folder_that_cannot_be_a_dataset_is_refused_in_words(server: Server, visit: Visit, tmp_path: Path) -> None:
    visitor = visit(server)
    visitor.open("overview")
    visitor.looks_at(tmp_path / "nowhere")
    expect(visitor.tab.get_by_test_id("stAlertContentError")).to_contain_text("nowhere")
