"""Overview shows datasets, runs and device, and takes a folder in only after showing what is in it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.data.captures import list_collections
from core.data.datasets import list_datasets, pending
from core.files import read_json, write_json
from core.workspace import Workspace
from tests.conftest import ImageFolder, Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, texts
from tests.waiting import wait_until


def test_a_new_workspace_has_digits_and_says_where_to_go(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("overview")
    shown = texts(app)
    assert app.title[0].value == "What is in this workspace?"
    assert "1 dataset with 1,797 images and 0 runs" in shown and "Training will use the " in shown
    assert "10 classes, 1,797 images, 0 unreadable, class folders" in shown
    assert "A run trains a network on a dataset" in shown


def test_runs_are_listed_with_their_state_and_accuracy(with_run: Trained, open_page: OpenPage) -> None:
    shown = texts(open_page("overview"))
    assert "finished" in shown and "on test" in shown and with_run.run.id in shown


def test_a_folder_is_shown_back_before_anything_is_stored(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    folder = image_folder(name="pets", counts={"cat": 5, "d<o>g": 4})
    (folder / "cat" / "broken.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image")
    app = _look_at(open_page("overview"), str(folder))
    identity = address(app, "adding")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the look at the folder to end")
    app.run()
    assert "2 classes, 9 images, 1 unreadable, class folders" in texts(app)
    assert "Left out: 1 .txt" in texts(app)
    assert [one.id for one in list_datasets(workspace)] == ["digits"]

    app.text_input[0].set_value("My pets").run()
    _press(app, "Add dataset")
    assert not app.exception
    assert {one.name for one in list_datasets(workspace)} == {"Digits", "My pets"}


def test_discarding_keeps_nothing(workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder) -> None:
    app = _look_at(open_page("overview"), str(image_folder()))
    identity = address(app, "adding")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the look at the folder to end")
    _press(app.run(), "Discard")
    assert not app.exception and address(app, "adding") is None
    assert [one.id for one in list_datasets(workspace)] == ["digits"]


def test_a_folder_that_is_none_is_refused_with_the_next_step(workspace: Workspace, open_page: OpenPage) -> None:
    app = _look_at(open_page("overview"), "/no/such/folder")
    assert "There is no folder /no/such/folder" in texts(app) and "Check the path" in texts(app)
    assert address(app, "adding") is None


def test_an_address_of_a_look_that_is_over_says_so(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("overview", adding="gone-123456")
    assert "No folder is being looked at as gone-123456" in texts(app)
    _press(app, "Choose another folder")
    assert address(app, "adding") is None


def test_a_dataset_whose_folder_is_gone_is_marked(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    from core.data.datasets import index_path

    folder = image_folder()
    index_path(workspace, folder)
    folder.rename(folder.with_name("elsewhere"))
    assert "Its folder is gone or was renamed" in texts(open_page("overview"))


def test_what_was_understood_can_be_corrected(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    folder = image_folder(name="pets", layout="flat names", counts={"cat": 5, "dog": 4})
    app = _look_at(open_page("overview"), str(folder))
    identity = address(app, "adding")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the look at the folder to end")
    app.run()
    assert "2 classes, 9 images, 0 unreadable, flat names" in texts(app)
    pattern = next(field for field in app.text_input if field.label == "Label pattern")
    pattern.set_value("(").run()
    assert "is no regular expression" in texts(app)
    pattern.set_value(r"^(c|d)").run()
    shown = next(frame.value for frame in app.dataframe if "Label" in frame.value)
    assert set(shown["Label"]) == {"c", "d"} and len(shown) == 8
    _press(app, "Read again")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the folder to be read again")
    app.run()
    _press(app, "Add dataset")
    (added,) = [one for one in list_datasets(workspace) if one.id != "digits"]
    assert set(added.manifest()["label"]) == {"c", "d"}


def test_a_look_that_was_stopped_offers_to_go_on(
    workspace: Workspace, open_page: OpenPage, image_folder: ImageFolder
) -> None:
    app = _look_at(open_page("overview"), str(image_folder()))
    identity = address(app, "adding")
    wait_until(lambda: pending(workspace, identity)[0].ended, "the look at the folder to end")
    status = workspace.pending_dataset(identity) / "status.json"
    write_json(status, read_json(status) | {"state": "stopped", "message": "Stopped.", "done": 7, "total": 16})
    app.run()
    assert "Stopped. 7 of 16 images done." in texts(app)
    _press(app, "Continue")
    wait_until(lambda: pending(workspace, identity)[0].state == "finished", "the look to be finished")
    assert "2 classes, 16 images" in texts(app.run())


def test_a_collection_is_begun_and_filled_with_files(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("overview")
    next(one for one in app.segmented_control if one.key == "add-from").set_value("Collect images").run()
    next(one for one in app.text_input if one.label == "Name of the collection").set_value("My <b>desk</b>")
    _press(app, "Start collecting")
    for label, seed in (("mug", 1), ("no mug", 2)):
        next(one for one in app.text_input if one.label == "New class").set_value(label)
        _press(app, "Add class")
        next(one for one in app.segmented_control if one.key == "collect-from").set_value("Files").run()
        app.file_uploader[0].upload(f"{seed}.png", _picture(seed), "image/png")
        _press(app, "Add these images")
    assert not app.exception
    (collection,) = list_collections(workspace)
    assert collection.counts == {"mug": 1, "no mug": 1} and collection.name == "My <b>desk</b>"
    _press(app, "Delete the last capture")
    assert list_collections(workspace)[0].counts == {"mug": 1, "no mug": 0}


def _picture(seed: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (30, 40, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def _look_at(app: AppTest, path: str) -> AppTest:
    app.text_input[0].set_value(path)
    return _press(app, "Look")


def _press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return app.run()
