"""Images brought in through the browser: a ZIP, a corrected reading, a look cancelled and gone on with, the camera."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from core.data.captures import list_collections
from core.data.datasets import list_datasets
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, Visitor, expect
from tests.conftest import ImageFolder
from tests.waiting import wait_until


def test_import_by_zip(server: Server, visit: Visit, image_folder: ImageFolder, tmp_path: Path) -> None:
    folder = image_folder(name="fruit", counts={"apple": 12, "pear": 9})
    (folder / "notes.txt").write_text("not an image")
    archive = shutil.make_archive(str(tmp_path / "fruit basket"), "zip", folder.parent, folder.name)
    visitor = visit(server)
    visitor.open("overview")
    _add(visitor, "Upload an archive")
    file = visitor.tab.locator(".st-key-upload-archive input[type=file]")
    file.set_input_files({"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear server"})
    visitor.sees("letter.txt is no archive")
    visitor.settles()
    file.set_input_files(archive)
    visitor.sees("2 classes, 21 images, 0 unreadable, class folders")
    visitor.sees("Left out: 1 .txt")
    visitor.photograph("import-zip")
    visitor.press("Add dataset")
    visitor.arrives("explore")
    expect(visitor.gallery("gallery").first.locator("img")).to_have_js_property("naturalWidth", 24)
    workspace = Workspace(server.home)
    dataset = next(one for one in list_datasets(workspace) if one.name == "fruit basket")
    assert dataset.root.is_relative_to(dataset.folder) and list(workspace.uploads.glob("*/*.zip")) == []
    visitor.finds_no_fault()


def test_a_label_pattern_is_corrected(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    folder = image_folder(name="numbered", counts={"1a cat": 6, "1b dog": 6}, layout="flat names")
    visitor = visit(server)
    visitor.open("overview")
    visitor.looks_at(folder)
    visitor.sees("2 classes, 12 images, 0 unreadable, flat names")
    visitor.settles()
    visitor.tab.get_by_text("Read it differently").click()
    pattern = visitor.tab.get_by_role("textbox", name="Label pattern")
    pattern.fill("(")
    pattern.press("Enter")
    visitor.sees("is no regular expression")
    visitor.settles()
    pattern.fill(r"^\d\w (?P<label>cat|d)\w*\.[0-4]")
    with visitor.redrawn():
        pattern.press("Enter")
    expect(visitor.tab.get_by_text("is no regular expression")).to_have_count(0)
    visitor.press("Read again")
    visitor.sees("2 classes, 10 images, 0 unreadable, flat names")
    visitor.settles()
    visitor.tab.get_by_text("Read it differently").click()
    expect(pattern).to_have_value(r"^\d\w (?P<label>cat|d)\w*\.[0-4]")
    visitor.press("Add dataset")
    visitor.arrives("explore")
    dataset = next(one for one in list_datasets(Workspace(server.home)) if one.name == "numbered")
    assert set(dataset.manifest()["label"]) == {"cat", "d"}
    visitor.finds_no_fault()


def test_a_look_is_cancelled_and_gone_on_with(server: Server, visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    pixels = np.random.default_rng(0).integers(0, 255, (700, 700, 3), np.uint8)  # noise: slow to read
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        Image.fromarray(pixels).save(folder / label / "0.png")
        for number in range(1, 400):
            (folder / label / f"{number}.png").hardlink_to(folder / label / "0.png")
    visitor = visit(server)
    visitor.open("overview")
    visitor.looks_at(folder)
    visitor.sees(re.compile(r"Reading the images.* of 800 images"))
    visitor.press("Cancel")
    visitor.sees(re.compile(r"of 800 images done"))
    visitor.photograph("import-cancelled")
    visitor.tab.reload()
    visitor.press("Continue")
    visitor.sees("2 classes, 800 images, 0 unreadable, class folders", 120)
    visitor.press("Discard")
    visitor.sees("Where are the images?")
    visitor.finds_no_fault()


@pytest.mark.usefixtures("no_collections")
def test_a_dataset_is_collected_from_the_camera(server: Server, visit: Visit) -> None:
    visitor, name = visit(server), f"Desk {uuid4().hex[:6]}"  # a name that is taken is refused
    visitor.open("overview")
    _add(visitor, "Collect images")
    visitor.tab.get_by_role("textbox", name="Name of the collection").fill(name)
    visitor.press("Start collecting")
    workspace = Workspace(server.home)
    for label in ("mug", "no mug"):
        visitor.rests()
        visitor.tab.get_by_role("textbox", name="New class").fill(label)
        visitor.press("Add class")
        visitor.sees(f"{label} (0)")
        if label == "mug":
            number = visitor.tab.get_by_label("Images", exact=True)
            number.fill("12")
            with visitor.redrawn():
                number.press("Enter")
            visitor.press("Open camera")
        visitor.press(f"Capture 12 images of {label}")
        visitor.sees(f"{label} (12)")
        visitor.sees(f"12 images of {label} stored")
    visitor.photograph("import-camera")
    visitor.press("Delete the last capture")
    visitor.sees("no mug (0)")
    visitor.press("Capture 12 images of no mug")
    visitor.sees("no mug (12)")
    wait_until(lambda: (name, 24) in [(one.name, one.num_images) for one in list_collections(workspace)], "all images")
    visitor.press("Look: 24 images")
    visitor.sees("2 classes, 24 images, 0 unreadable, class folders")
    visitor.press("Add dataset")
    visitor.arrives("explore")
    assert any(one.name == name for one in list_datasets(workspace))
    visitor.finds_no_fault()


def _add(visitor: Visitor, way: str) -> None:
    visitor.tab.get_by_text("Add a dataset").click()
    visitor.pick(way)
