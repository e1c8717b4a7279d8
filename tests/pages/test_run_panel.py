"""A run's panel: what it waits for and the buttons that change that, what went wrong and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streamlit.testing.v1 import AppTest

from core import jobs
from core.files import write_json
from core.runs import launch, queue
from core.runs.store import Run, list_runs
from core.workspace import Workspace
from tests.pages.conftest import OpenPage
from tests.pages.reading import texts
from tests.standing_in import make_run, stay_queued


def test_a_waiting_run_says_what_for_and_its_place_is_changed(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("overview")
    runs = [make_run(workspace, name) for name in "abc"]
    stay_queued(*runs)
    app = open_page("train", run="c")
    assert "Place **3** in the queue" in texts(app) and "2 others go before it" in texts(app)
    _click(app, "Go next")
    assert [row.run_id for row in queue.waiting(workspace)] == ["c", "a", "b"]
    assert "Place **1** in the queue" in texts(app)
    _click(app, "Hold")
    assert queue.waiting(workspace)[0].held and "until it is released" in texts(app)
    _click(app, "Release")
    assert not queue.waiting(workspace)[0].held
    _click(app, "Cancel")
    assert [row.run_id for row in queue.waiting(workspace)] == ["a", "b"] and not app.exception


def test_start_says_that_the_run_would_wait(workspace: Workspace, open_page: OpenPage) -> None:
    app = open_page("train", dataset="digits", view="Plan")
    assert "Start puts it into the queue" not in texts(app)
    stay_queued(make_run(workspace, "a"))
    app.run()
    assert "Start puts it into the queue, where it waits for its turn; 1 other goes before it." in texts(app)


def test_a_failed_run_says_what_kind_of_trouble_and_is_tried_again(
    workspace: Workspace, open_page: OpenPage, monkeypatch: Any
) -> None:
    open_page("overview")
    run = make_run(workspace, "a")
    extra = {"exit_status": 1, "error": "MemoryTooSmall", "fix": "Lower *it*."}
    write_json(run.folder / jobs.STATUS, asdict(jobs.Status("failed", "No room for <b>. Lower *it*.", extra=extra)))
    app = open_page("train", run="a")
    assert "**Out of memory** (MemoryTooSmall)" in texts(app) and "No room for <b>.\n\nLower *it*." in texts(app)
    started = list[Run]()

    def retry(_: Workspace, earlier: Run) -> Run:
        started.append(make_run(workspace, "b"))
        return started[0]

    monkeypatch.setattr("pages._components.run_panel.retry_run", retry)
    _click(app, "Retry")
    assert app.query_params["run"] in ("b", ["b"]) and {one.id for one in list_runs(workspace)} == {"a", "b"}


def test_a_run_at_work_is_stopped_and_stopped_now(workspace: Workspace, open_page: OpenPage, monkeypatch: Any) -> None:
    open_page("overview")
    run = make_run(workspace, "a")
    with jobs.StatusWriter(run.folder) as status:
        status.update(phase="training")
        app = open_page("train", run="a")
        asked = list[str]()
        monkeypatch.setattr(jobs, "spawn", lambda *arguments: asked.append(arguments[1]))
        _click(app, "Stop")
        assert run.status.state == "stopping" and asked == []
        _click(app, "Stop now")
        assert asked == [launch.ENDING_PROGRAM]


def _click(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception
