"""Runs started through the form: watched live, found again, stopped, killed, and left alone by a restarting server."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, begin, end_runs, expect, serving, worker
from tests.waiting import wait_until

UNTIL_STOPPED = 500  # epochs, more than any test waits for


@pytest.fixture(autouse=True)
def ended(home: Path) -> Iterator[None]:
    """Whatever a test left training would take the machine from those after it."""
    yield
    end_runs(home)


def test_a_run_started_in_the_form_outlives_the_server_and_is_watched_to_its_end(home: Path, visit: Visit) -> None:
    with serving(home) as first:
        visitor = visit(first)
        run = visitor.starts_training(epochs=5)
        wait_until(lambda: len(run.metrics()) > 0, "an epoch")
        process = worker(run)
        os.kill(process.pid, signal.SIGSTOP)  # an epoch takes less than a drawing of the page, and a restart much more
        expect(visitor.figure("Epoch")).to_have_text(re.compile("^[1-5] of 5$"))
        visitor.photographs("train-live")
        visitor.tab.reload()
        visitor.arrives("train")
        expect(visitor.figure("Epoch")).to_have_text(re.compile("^[1-5] of 5$"))
    assert first.process.poll() is not None and process.is_alive()
    with serving(home) as second:
        visitor = visit(second)
        visitor.open("train", run=run.id)
        visitor.sees("is paused")
        os.kill(process.pid, signal.SIGCONT)
        visitor.sees("finished", RUN_S)
        assert worker(run) == process
        visitor.tab.get_by_role("link", name="Evaluate it").click()
        visitor.arrives("evaluate")
        report = run.report()
        assert report is not None and report["test_accuracy"] > 0.9
        visitor.sees(report["headline"])
        visitor.finds_no_fault()


def test_a_run_is_found_again_and_stopped(server: Server, visit: Visit) -> None:
    run = begin(server.home, "digits", UNTIL_STOPPED)
    visitor = visit(server)
    visitor.open("train", run=run.id)
    epoch, step = visitor.figure("Epoch"), visitor.figure("Step")
    expect(epoch).to_contain_text(f"of {UNTIL_STOPPED}")
    expect(step).not_to_have_text(step.inner_text())
    seen = epoch.inner_text()
    wait_until(lambda: int(epoch.inner_text().split()[0]) > int(seen.split()[0]), "a later epoch")
    second = visit(server)
    second.open("train")
    expect(second.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")

    second.press("Stop")
    for one in (visitor, second):
        one.sees("stopped", RUN_S)
        expect(one.tab.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
        expect(one.tab.get_by_role("link", name="Classify with it")).to_be_visible()
        one.finds_no_fault()
    assert run.status.state == "stopped" and run.has_bundle
    wait_until(lambda: not worker(run).is_alive(), "the worker to end")
    visitor.photograph("train-stopped")

    epochs_before = len(run.metrics())
    second.press("Resume")
    wait_until(lambda: len(run.metrics()) > epochs_before, "an epoch after those before the stop")
    expect(second.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")
    epochs = [row["epoch"] for row in run.metrics()]
    assert epochs == list(range(1, len(epochs) + 1))


def test_a_killed_worker_is_called_lost_and_can_be_resumed(server: Server, visit: Visit) -> None:
    run = begin(server.home, "digits", UNTIL_STOPPED)
    visitor = visit(server)
    visitor.open("train", run=run.id)
    expect(visitor.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")
    os.kill(worker(run).pid, signal.SIGKILL)
    visitor.sees("ended without a word")
    visitor.sees("lost")
    visitor.sees("Reading the training images into memory.")
    visitor.photograph("train-lost")
    visitor.press("Resume")
    expect(visitor.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")
    os.kill(worker(run).pid, signal.SIGKILL)
    visitor.sees("ended from outside by SIGKILL")  # the server has begun it, and was told how it ended
