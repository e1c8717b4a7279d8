"""Overview shows datasets, runs and device, and takes a folder in only after showing what is in it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from core.data.datasets import list_datasets, pending
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


def _look_at(app: AppTest, path: str) -> AppTest:
    app.text_input[0].set_value(path)
    return _press(app, "Look")


def _press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return app.run()
