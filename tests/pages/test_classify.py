"""Classify: what was brought is answered once, by one model or two, found again, filtered, kept and forgotten."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.captures import list_collections
from core.evaluation import explainer
from core.files import write_json
from core.inference import batches
from core.inference.bundle import note_trust
from core.runs.store import Run, open_run
from core.workspace import Workspace
from pages._components.classify import work
from pages._components.classify.opened import OPENED
from tests.conftest import Trained
from tests.pages.conftest import OpenPage
from tests.pages.reading import address, component, has_component, texts
from tests.waiting import wait_until


@pytest.fixture
def runs(trained: Trained, workspace: Workspace) -> tuple[Run, Run]:
    """The trained run, and one of the same weights that is never sure, in a workspace of the test's own."""
    for name in (trained.run.id, "unsure"):
        shutil.copytree(trained.run.folder, workspace.runs / name)
    note_trust(workspace.runs / "unsure" / "bundle", abstention_threshold=1.0)
    return open_run(workspace, trained.run.id), open_run(workspace, "unsure")


@pytest.fixture
def photos(trained: Trained) -> list[tuple[str, bytes, str]]:
    """Nine photos, three of a class, as a browser sends them."""
    files = [file for label in ("cat", "dog", "fox") for file in sorted((trained.images / label).iterdir())[:3]]
    return [(f"{file.parent.name}-{file.name}", file.read_bytes(), "image/png") for file in files]


def _upload(app: AppTest, files: list[tuple[str, bytes, str]]) -> AppTest:
    app.file_uploader(key="uploads").set_value(files).run()
    assert not app.exception, app.exception
    return app


def _batch(app: AppTest, workspace: Workspace) -> batches.Batch:
    batch = batches.find_batch(workspace, address(app, "batch") or "none")
    assert batch is not None
    return batch


def _cards(app: AppTest) -> list[str]:
    return [card["name"] for card in component(app, "darkroom_answers")]


def test_two_models_answer_beside_each_other(
    runs: tuple[Run, Run], photos: list[tuple[str, bytes, str]], open_page: OpenPage
) -> None:
    app = _upload(open_page("classify", run=runs[0].id, **{"with": runs[1].id}), photos[:3])
    assert "3 images classified" in texts(app)
    assert "Both models name the same class for 3 of 3 images." in texts(app)
    for card in component(app, "darkroom_answers"):
        first, second = card["verdicts"]
        assert first["words"].startswith("cat, ") and not first["hint"]
        assert second["words"] == "Not sure" and "from 100.0 %" in second["hint"]
        assert first["rows"] == second["rows"] and first["model"] != second["model"]


def test_nothing_is_read_or_asked_twice_and_a_reload_finds_it(
    runs: tuple[Run, Run], photos: list[tuple[str, bytes, str]], open_page: OpenPage, workspace: Workspace
) -> None:
    app = _upload(open_page("classify", run=runs[0].id), [*photos[:2], ("note.png", b"hello", "image/png")])
    assert "2 images classified, 1 file not" in texts(app)
    assert not app.file_uploader[0].value, "the session holds the files that are on disk"
    batch = _batch(app, workspace)
    changed = batch.answers_file(runs[0].id).stat().st_mtime_ns
    app.run()
    again = open_page("classify", run=runs[0].id, batch=batch.id)
    assert _cards(again) == _cards(app) and "2 images classified, 1 file not" in texts(again)
    assert batch.answers_file(runs[0].id).stat().st_mtime_ns == changed
    again.file_uploader[0].set_value([photos[8]]).run()
    assert "3 images classified, 1 file not" in texts(again)
    assert _cards(again)[:2] == ["note.png", photos[8][0]], "what cannot be read comes first, then the newest"
    next(button for button in again.button if button.label == "Forget these images").click().run()
    assert batches.find_batch(workspace, batch.id) is None and not has_component(again, "darkroom_answers")
    gone = open_page("classify", run=runs[0].id, batch=batch.id)
    assert not has_component(gone, "darkroom_answers")


def test_cards_are_filtered_and_ordered(
    runs: tuple[Run, Run], photos: list[tuple[str, bytes, str]], open_page: OpenPage
) -> None:
    app = _upload(open_page("classify", run=runs[0].id), photos)
    app.selectbox(key="answer-order").select("By name").run()
    assert _cards(app) == sorted(name for name, *_ in photos)
    app.multiselect(key="answer-classes").select("fox").run()
    assert {name.partition("-")[0] for name in _cards(app)} == {"fox"} and "3 of 9 files" in texts(app)
    app.text_input(key="answer-name").input("0001").run()
    assert _cards(app) == ["fox-0001.png"]


def test_an_image_is_kept_as_it_came_under_its_answer(
    runs: tuple[Run, Run], photos: list[tuple[str, bytes, str]], open_page: OpenPage, workspace: Workspace
) -> None:
    app = _upload(open_page("classify", run=runs[0].id), photos[:1])
    app.session_state[OPENED] = _batch(app, workspace).items()[0].path
    app.run()
    app.button(key="opened-keep-button").click().run()
    assert "1 image kept in Photos from Classify" in texts(app)
    (collection,) = list_collections(workspace)
    assert collection.counts == {"cat": 1}
    (stored,) = (collection.folder / "images" / "cat").iterdir()
    assert stored.read_bytes() == photos[0][1]
    assert component(app, "darkroom_answers")[0]["mark"] == "kept as cat"
    assert app.selectbox(key="opened-keep-in").value == collection.id
    app.button(key="opened-keep-button").click().run()
    assert "kept there already" in texts(app) and list_collections(workspace)[0].num_images == 1
    app.selectbox(key="opened-keep-as-True").select("dog").run()
    app.button(key="opened-keep-button").click().run()
    assert list_collections(workspace)[0].counts == {"cat": 1, "dog": 1}


@pytest.fixture
def light_explainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(explainer, "PROGRAM", "tests.evaluation.light_explainer")
    explainer.close_explainer()
    yield
    explainer.close_explainer()


def test_where_it_looks_is_shown_when_it_is_known(
    runs: tuple[Run, Run], photos: list[tuple[str, bytes, str]], open_page: OpenPage, light_explainer: None
) -> None:
    app = _upload(open_page("classify", run=runs[0].id), photos[:1])
    app.session_state[OPENED] = _batch(app, Workspace.default()).items()[0].path
    app.run()
    app.button(key="ask-map").click().run()
    wait_until(lambda: "Yellow speaks most for the class" in texts(app.run()), "the map", 30)


def test_many_are_a_job_and_a_cancelled_one_waits_to_be_told(
    runs: tuple[Run, Run],
    photos: list[tuple[str, bytes, str]],
    open_page: OpenPage,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    forked_jobs: None,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(work, "AT_ONCE", 2)
    batch = batches.start_batch(workspace)
    batches.add_files(batch, [(name, data) for name, data, _ in photos])
    write_json(batch.job / jobs.STATUS, {"state": "stopped", "message": "Cancelled; 0 answers came before that."})
    app = open_page("classify", run=runs[0].id, batch=batch.id)
    assert "Cancelled. 9 answers left to give." in texts(app) and "9 to come" in texts(app)
    app.button(key="classify-go-on").click().run()
    wait_until(lambda: "9 images classified" in texts(app.run()), "the job", 60)

    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.png").write_bytes(photos[0][1])
    next(one for one in app.segmented_control if one.key == "source").set_value("Folder").run()
    app.text_input(key="folder-path").input(str(tmp_path / "nowhere"))
    next(button for button in app.button if button.label == "Classify this folder").click().run()
    assert "There is no folder" in texts(app)
    app.text_input(key="folder-path").input(str(tmp_path / "more"))
    next(button for button in app.button if button.label == "Classify this folder").click().run()
    wait_until(lambda: "10 images classified" in texts(app.run()), "the folder", 60)
