"""A sweep set up and watched in a real browser, with real runs."""

from __future__ import annotations

import re

from core.runs.about import read_about
from core.runs.store import list_runs
from core.sweeps.launch import stop_sweep
from core.sweeps.store import Sweep, open_sweep
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, Visitor, expect
from tests.waiting import wait_until

# Once a trial beats the start the test images decide; with one trial it may also be that none does.
VERDICT = re.compile("On the test images|No trial was better than the settings the sweep started from")
POINTS = "document.querySelectorAll('.js-plotly-plot .scatterlayer path.point').length"


def _set_number(visitor: Visitor, label: str, value: int) -> None:
    field = visitor.tab.get_by_label(label, exact=True)
    field.fill(str(value))
    with visitor.redrawn():
        field.press("Enter")


def _num_points(visitor: Visitor) -> int:
    return int(visitor.tab.evaluate(POINTS))


def test_a_sweep_is_started_watched_and_seen_by_another_visitor(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    visitor.open("sweeps", dataset="digits")
    visitor.choose("Start from", "Preset from-scratch")
    _set_number(visitor, "Epochs of a trial", 2)
    _set_number(visitor, "Trials", 1)
    name = visitor.tab.get_by_label("Name", exact=True).input_value()  # a free one, also when this is tried again
    visitor.press("Start the sweep")
    visitor.sees("of 1 trial")
    workspace = Workspace(server.home)
    sweep: Sweep = open_sweep(workspace, name)
    try:
        # Nobody touches the page: the start's point and the trial's come by themselves, perhaps both at once.
        wait_until(lambda: _num_points(visitor) >= 2, "the plot to move by itself", RUN_S)
        visitor.sees(VERDICT, within_s=RUN_S)
        another = visit(server)
        another.open("sweeps", sweep=name)
        another.sees(VERDICT)
        wait_until(lambda: _num_points(another) >= 2, "the same points", RUN_S)
        another.pick("Trials")
        expect(another.tab.get_by_test_id("stDataFrame")).to_be_visible()
        visitor.finds_no_fault()
        another.finds_no_fault()
    finally:
        stop_sweep(sweep)
        wait_until(lambda: not sweep.num_at_work, "the sweep to end", RUN_S)
    runs = [run for run in list_runs(workspace) if sweep.tag in read_about(run).tags]
    assert {row.run for row in sweep.trials() if row.run} == {run.id for run in runs}
    another.open("sweeps", sweep=name)
    another.tab.get_by_role("link", name="Plan a full run with the best settings").click()
    another.sees("How does training go?")
