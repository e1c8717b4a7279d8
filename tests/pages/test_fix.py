"""Corrections from the pages: made, undone and listed; how a dataset is divided, and what stands beside a score."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.config import build_config
from core.data.cleaned import exports_of
from core.data.datasets import Dataset, index_path, open_dataset
from core.data.edits import exclude, history, relabel
from core.data.splits import divide
from core.files import read_json, write_json
from core.runs.store import REPORT, create_run, open_run
from core.workspace import Workspace
from tests.conftest import ImageFolder, Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import component, texts
from tests.waiting import wait_until


@pytest.fixture
def dataset(workspace: Workspace, image_folder: ImageFolder) -> Dataset:
    """Eight cats, one of them twice, and eight dogs."""
    root = image_folder()
    (root / "cat" / "copy.png").write_bytes((root / "cat" / "0000.png").read_bytes())
    return index_path(workspace, root)


def test_without_corrections_the_view_says_how_to_make_some(dataset: Dataset, open_page: OpenPage) -> None:
    app = open_page("explore", dataset=dataset.id, view="Edits")
    assert f"Nothing was corrected: version {dataset.fingerprint}" in texts(app)


def test_the_history_is_listed_and_walked(workspace: Workspace, dataset: Dataset, open_page: OpenPage) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog", "it barks")
    exclude(workspace, dataset.id, ["dog/0001.png", "dog/0002.png"])
    app = open_page("explore", dataset=dataset.id, view="Edits")
    assert "2 corrections in force, 0 undone; 2 images excluded" in texts(app)
    table = app.dataframe[0].value
    assert table["What"].tolist() == ["Excluded", "Relabelled as dog"] and table["Images"].tolist() == [2, 1]
    assert table["Reason"].tolist() == ["", "it barks"] and table["First"].tolist() == ["dog/0001.png", "cat/0000.png"]
    _button(app, "Undo: Excluded 2 images").click().run()
    assert app.dataframe[0].value["State"].tolist() == ["undone", "in force"]
    assert open_dataset(workspace, dataset.id).num_excluded == 0
    _button(app, "Undo: Relabelled 1 image as dog").click().run()
    assert _button(app, "Undo").disabled
    _button(app, "Redo: Relabelled 1 image as dog").click().run()
    assert not app.exception and "1 correction in force, 1 undone" in texts(app)


def test_a_step_that_is_not_the_next_any_more_is_refused(
    workspace: Workspace, dataset: Dataset, open_page: OpenPage
) -> None:
    relabel(workspace, dataset.id, ["cat/0000.png"], "dog")
    app = open_page("explore", dataset=dataset.id, view="Edits")
    button = _button(app, "Undo: Relabelled 1 image as dog")
    exclude(workspace, dataset.id, ["dog/0001.png"])  # in another tab
    button.click().run()
    assert not app.exception
    assert [edit.undone for edit in history(workspace, dataset.id)] == [False, False]


def test_a_copy_is_written_in_the_background(
    workspace: Workspace, dataset: Dataset, open_page: OpenPage, tmp_path: Path
) -> None:
    exclude(workspace, dataset.id, ["dog/0001.png"])
    app = open_page("explore", dataset=dataset.id, view="Edits")
    app.text_input[0].set_value(str(dataset.root / "inside"))
    _button(app, "Write the copy").click().run()
    assert "which stays as it is" in texts(app) and exports_of(workspace, dataset.id) == []
    app.text_input[0].set_value(str(tmp_path / "out"))
    _button(app, "Write the copy").click().run()
    ((folder, _),) = exports_of(workspace, dataset.id)
    wait_until(lambda: jobs.read_status(folder).ended, "the copy")
    assert "16 images written to" in texts(app.run()) and not app.exception
    assert len(list((tmp_path / "out").rglob("*.png"))) == 16
    _button(app, "Remove from this list").click().run()
    assert exports_of(workspace, dataset.id) == [] and (tmp_path / "out").is_dir()


def test_the_split_is_previewed_with_trains_own_settings(
    workspace: Workspace, dataset: Dataset, open_page: OpenPage
) -> None:
    app = open_page("explore", dataset=dataset.id, view="Splits")
    sizes = {metric.label: metric.value for metric in app.metric}
    division = divide(workspace, build_config({"data.dataset": dataset.id}))
    used = division.manifest["split"].value_counts()
    titles = {"Training": "train", "Validation": "val", "Test": "test"}
    assert sizes == {title: f"{used[name]} images" for title, name in titles.items()}
    assert "1 group of duplicates, none on both sides of the split." in texts(app)
    app.selectbox(key="knob-split.group_by").set_value("folder").run()
    assert "all images of 'cat', 'dog' are in one folder" in texts(app) and not app.exception
    app.selectbox(key="knob-split.group_by").set_value("none").run()
    app.number_input(key="knob-split.test_fraction").set_value(0.4).run()
    table = app.dataframe[0].value.set_index("label")
    assert table["test"].sum() == 6 or table["test"].sum() == 7
    app.switch_page("../train.py").run()
    assert app.number_input(key="knob-split.test_fraction").value == 0.4
    assert "1 group of duplicates, none on both sides of the split." in texts(app)


def test_leaks_and_the_version_stand_beside_the_score(
    with_run: Trained, open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _own_copy(with_run, workspace, monkeypatch)
    dataset_id = run.config.data.dataset
    report = run.report()
    assert report["leaks"]["num_straddling"] == 0
    assert report["dataset_fingerprint"] == open_dataset(workspace, dataset_id).fingerprint
    app = open_page("evaluate")
    assert "No " in texts(app) and "The dataset is the same today." in texts(app)
    relabel(workspace, dataset_id, ["cat/0000.png"], "dog")
    write_json(run.folder / REPORT, report | {"leaks": report["leaks"] | {"num_groups": 3, "num_straddling": 2}})
    app = open_page("evaluate")
    assert "3 groups of duplicates, 2 on both sides of the split" in app.warning[0].value
    assert "The dataset has changed since" in texts(app)
    write_json(run.folder / REPORT, {name: value for name, value in report.items() if name != "leaks"})
    assert "before leaks were counted" in texts(open_page("evaluate"))


def test_a_mistake_is_relabelled_where_it_is_seen(
    with_run: Trained, open_page: OpenPage, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _own_copy(with_run, workspace, monkeypatch)
    app = open_page("evaluate", view="Confusion", true="dog", predicted="dog")
    tiles = component(app, "darkroom_gallery")
    assert tiles["selectable"] and not any(tile["mark"] for tile in tiles["tiles"])
    relabel(workspace, run.config.data.dataset, [tiles["tiles"][0]["id"]], "fox")
    exclude(workspace, run.config.data.dataset, [tiles["tiles"][1]["id"]])
    app = open_page("evaluate", view="Confusion", true="dog", predicted="dog")
    assert [tile["mark"] for tile in component(app, "darkroom_gallery")["tiles"]][:3] == ["now fox", "excluded", ""]


def _bar() -> None:
    """A page with the bar alone, for images named by the session."""
    import streamlit as st

    from core.data.datasets import open_dataset
    from core.workspace import Workspace
    from pages._components.edit_bar import edit_bar

    workspace = Workspace.default()
    dataset = open_dataset(workspace, "photos")
    st.markdown(f"version {dataset.fingerprint}")
    edit_bar(workspace, dataset, st.session_state.get("chosen", []), ["cat", "dog"], key="here")


def test_the_bar_edits_and_undoes(workspace: Workspace, dataset: Dataset) -> None:
    app = AppTest.from_function(_bar, default_timeout=60).run()
    assert not app.button
    app.session_state["chosen"] = ["cat/0000.png", "cat/0001.png"]
    app.run()
    assert "2 images selected" in texts(app) and _button(app, "Relabel").disabled
    app.selectbox(key="here-label").set_value("dog").run()
    app.text_input(key="here-reason").set_value("barks").run()
    _button(app, "Relabel").click().run()
    assert not app.exception and "Relabelled 2 images as dog." in texts(app)
    (edit,) = history(workspace, dataset.id)
    assert edit.reason == "barks" and f"version {open_dataset(workspace, dataset.id).fingerprint}" in texts(app)
    _button(app, "Undo").click().run()
    assert f"version {dataset.fingerprint}" in texts(app) and "Undone: Relabelled 2 images as dog." in texts(app)
    _button(app, "Redo").click().run()
    assert f"version {dataset.fingerprint}" not in texts(app)
    _button(app, "Exclude").click().run()
    assert "Excluded 2 images." in texts(app) and "Exclude" not in [button.label for button in app.button]
    _button(app, "Restore").click().run()
    assert open_dataset(workspace, dataset.id).num_excluded == 0
    relabel(workspace, dataset.id, ["dog/0000.png"], "cat")  # in another tab
    _button(app.run(), "Undo").click().run()
    assert "others were made since" in texts(app) and not app.exception


def test_a_name_that_cannot_be_is_refused_in_words(workspace: Workspace, dataset: Dataset) -> None:
    app = AppTest.from_function(_bar, default_timeout=60)
    app.session_state["chosen"] = ["cat/0000.png"]
    app.run()
    app.selectbox(key="here-label").set_value("cat").run()
    _button(app, "Relabel").click().run()
    assert "labelled cat already" in texts(app) and history(workspace, dataset.id) == []


def test_a_run_that_was_made_by_hand_has_its_leaks_too(workspace: Workspace, dataset: Dataset) -> None:
    config = build_config({"data.dataset": dataset.id, "split.keep_together": "off"})
    division = divide(workspace, config)
    run = create_run(workspace, config, division.manifest, division.about())
    assert run.data()["dataset_fingerprint"] == dataset.fingerprint and run.data()["leaks"]["num_groups"] == 1
    assert read_json(run.folder / "data.json")["num_edits"] == 0
    assert isinstance(run.manifest(), pd.DataFrame)


def _own_copy(with_run: Trained, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> object:
    """The finished run in a workspace of the test's own."""
    shutil.copytree(with_run.workspace.root, workspace.root, ignore=shutil.ignore_patterns("*.tmp"), dirs_exist_ok=True)
    monkeypatch.setenv("DARKROOM_HOME", str(workspace.root))
    return open_run(workspace, with_run.run.id)


def _button(app: AppTest, label: str) -> object:
    return next(button for button in app.button if button.label == label)
