"""A label is corrected in the gallery and the correction is undone."""

from __future__ import annotations

import re

from core.data.datasets import index_path, open_dataset
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, expect
from tests.conftest import ImageFolder


def test_fix_a_label_and_undo_it(server: Server, visit: Visit, image_folder: ImageFolder) -> None:
    workspace = Workspace(server.home)
    dataset = index_path(workspace, image_folder(name="to fix", counts={"cat": 8, "dog": 8}))
    visitor = visit(server)
    visitor.open("explore", dataset=dataset.id)
    for path in ("cat/0000.png", "cat/0002.png"):
        visitor.tab.get_by_role("checkbox", name=f"Select cat: {path}").check()
    visitor.sees("2 images selected.")
    visitor.settles()
    label = visitor.tab.get_by_role("combobox", name="New class")
    label.fill("young cat")
    with visitor.redrawn():
        label.press("Enter")
    visitor.photograph("explore-edit-bar")
    visitor.press("Relabel")
    visitor.sees("Relabelled 2 images as young cat.")
    visitor.sees("3 classes, 16 images")
    expect(visitor.tab.get_by_role("checkbox", name="Select young cat: cat/0000.png")).not_to_be_checked()
    assert open_dataset(workspace, dataset.id).num_classes == 3

    visitor.press("Undo")
    visitor.sees("Undone: Relabelled 2 images as young cat.")
    visitor.sees("2 classes, 16 images")
    assert open_dataset(workspace, dataset.id).fingerprint == dataset.fingerprint
    visitor.open("explore", dataset=dataset.id, view="Edits")
    visitor.sees("0 corrections in force, 1 undone")
    visitor.settles()
    visitor.photograph("explore-edits")
    visitor.tab.get_by_role("button", name="Redo: Relabelled 2 images as young cat").click()
    visitor.sees("1 correction in force, 0 undone")
    visitor.settles()
    assert open_dataset(workspace, dataset.id).num_classes == 3
    visitor.tab.get_by_role("button", name="Undo: Relabelled 2 images as young cat").click()
    visitor.sees("0 corrections in force, 1 undone")
    visitor.pick("Splits")
    visitor.sees(re.compile("none on both sides of the split|No duplicates among these images"))
    visitor.finds_no_fault()
