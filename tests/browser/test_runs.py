"""The Runs page in two browsers at once: queue two runs, reorder, compare, delete and undo; both see the same truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import build_config
from core.data.splits import divide
from core.runs import queue
from core.runs.about import write_about
from core.runs.launch import start_run
from core.runs.store import Run
from core.runs.trash import delete_runs, deleted_runs, purge
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Locator, Server, Visitor, expect
from tests.browser.test_compare import twin_of
from tests.waiting import wait_until


@pytest.fixture
def queued(home: Path, digits_run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Run]]:
    """Two runs that wait, since the CPU begins no run."""
    monkeypatch.setenv("DARKROOM_HOME", str(home))
    workspace = Workspace(home)
    queue.set_slots(workspace, "cpu", 0)
    config = build_config({"data.dataset": "digits"}, "from-scratch")
    division = divide(workspace, config)
    runs = [start_run(workspace, config, division.manifest, division.about()) for _ in range(2)]
    for run, name in zip(runs, ("early bird", "late <b>riser</b>"), strict=True):
        write_about(run, name=name)
    yield runs
    for row in queue.waiting(workspace):
        queue.cancel(workspace, row.run_id)
    wait_until(lambda: all(run.status.ended for run in runs), "both to end")
    delete_runs(workspace, [run.id for run in runs])
    purge(workspace, 0)
    queue.set_slots(workspace, "cpu", 1)


def _row(visitor: Visitor, title: str) -> Locator:
    """A row of the list, by its run's name or id."""
    return visitor.tab.locator("tbody tr").filter(has=visitor.tab.get_by_role("link", name=title, exact=True))


def _place(visitor: Visitor, place: int) -> Locator:
    return visitor.tab.locator(f".st-key-queue-place-{place}")


def _tick(visitor: Visitor, *titles: str) -> None:
    for title in titles:
        with visitor.redrawn():
            _row(visitor, title).get_by_role("checkbox").check()


def test_two_browsers_see_one_queue(server: Server, queued: list[Run], visit: Visit) -> None:
    workspace = Workspace(server.home)
    one, other = visit(server), visit(server)
    for visitor in (one, other):
        visitor.open("runs")
        expect(_place(visitor, 1)).to_contain_text("early bird")
        expect(_place(visitor, 2)).to_contain_text("late <b>riser</b>")
    one.photographs("runs-queue")
    _place(one, 2).get_by_role("button", name="Up").click()
    for visitor in (one, other):
        expect(_place(visitor, 1)).to_contain_text("late <b>riser</b>")
    assert [row.run_id for row in queue.waiting(workspace)] == [queued[1].id, queued[0].id]
    _place(other, 1).get_by_role("button", name="Hold").click()
    expect(_place(one, 1).get_by_role("button", name="Release")).to_be_visible()
    expect(_row(one, "late <b>riser</b>")).to_contain_text("held")
    _place(one, 1).get_by_role("button", name="Cancel").click()
    for visitor in (one, other):
        expect(_row(visitor, "late <b>riser</b>")).to_contain_text("stopped")
        expect(_place(visitor, 1)).to_contain_text("early bird")
        visitor.finds_no_fault()


def test_runs_are_compared_deleted_and_brought_back(server: Server, digits_run: Run, visit: Visit) -> None:
    workspace = Workspace(server.home)
    twin = twin_of(digits_run, workspace)
    one, other = visit(server), visit(server)
    for visitor in (one, other):
        visitor.open("runs")
        expect(_row(visitor, twin.id)).to_be_visible()
    _tick(one, twin.id, digits_run.id)
    one.sees("2 ticked")
    one.press("Compare")
    one.arrives("compare")
    one.open("runs")
    _tick(one, twin.id)
    one.press("Delete")
    for visitor in (one, other):
        expect(_row(visitor, twin.id)).to_have_count(0)
        visitor.sees("1 run deleted")
    one.photographs("runs-deleted")
    assert not twin.folder.exists() and [entry.run_id for entry in deleted_runs(workspace)] == [twin.id]
    other.press("Undo")
    for visitor in (one, other):
        expect(_row(visitor, twin.id)).to_be_visible()
    assert twin.folder.is_dir() and twin.report() == digits_run.report()


def test_a_run_is_opened_from_the_list_and_cloned(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open("runs", find=digits_run.id)
    visitor.tab.get_by_role("link", name=digits_run.id, exact=True).click()
    visitor.sees("Started")
    visitor.tab.wait_for_url(f"**run={digits_run.id}*")
    visitor.pick("Repeat")
    visitor.sees("python -m core train --data digits --preset from-scratch")
    visitor.photographs("runs-one")
    visitor.tab.get_by_role("link", name="Clone with changes").click()
    visitor.arrives("train")
    expect(visitor.tab.locator(".st-key-group-main").get_by_label("Epochs", exact=True)).to_have_value("4")
    visitor.tab.go_back()
    visitor.arrives("runs")
    visitor.press("All runs")
    expect(_row(visitor, digits_run.id)).to_be_visible()
    visitor.finds_no_fault()
