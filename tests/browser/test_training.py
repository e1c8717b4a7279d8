"""Runs started through the form: watched live, found again, stopped, killed, and left alone by a restarting server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.browser.conftest import Visit
from tests.browser.dashboard import RUN_S, Server, expect, serving, worker

UNTIL_STOPPED = 500  # epochs, more than any test waits for


def test_train_through_the_form_watch_reload_and_finish(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    run = visitor.starts_training(epochs=16)
    expect(visitor.figure("Epoch")).to_have_text("1 of 16")
    step = visitor.figure("Step").inner_text()
    expect(visitor.figure("Step")).not_to_have_text(step)
    expect(visitor.figure("Epoch")).not_to_have_text("1 of 16")
    visitor.photographs("train-live")

    visitor.tab.reload()
    visitor.arrives("train")
    expect(visitor.figure("Epoch")).to_contain_text("of 16")
    second = visit(server)
    second.open("train")
    second.sees("running")
    expect(second.figure("Epoch")).to_contain_text("of 16")

    visitor.sees("finished", RUN_S)
    second.sees("finished")
    visitor.tab.get_by_role("link", name="Evaluate it").click()
    visitor.arrives("evaluate")
    report = run.report()
    assert report is not None and report["test_accuracy"] > 0.9
    visitor.sees(report["headline"])
    visitor.finds_no_fault()


def test_stop_keeps_the_best_weights(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    run = visitor.starts_training(UNTIL_STOPPED)
    expect(visitor.figure("Epoch")).to_have_text(f"2 of {UNTIL_STOPPED}")
    visitor.press("Stop")
    visitor.sees("stopped", RUN_S)
    assert run.status.state == "stopped" and run.has_bundle
    expect(visitor.tab.get_by_role("link", name="Classify with it")).to_be_visible()
    visitor.snap("train-stopped")
    expect(visitor.tab.get_by_role("button", name="Resume", exact=True)).to_be_enabled()
    visitor.finds_no_fault()


def test_a_killed_worker_is_called_lost_and_can_be_resumed(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    run = visitor.starts_training(UNTIL_STOPPED)
    expect(visitor.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")
    os.kill(worker(run).pid, signal.SIGKILL)
    visitor.sees("ended without a word")
    visitor.sees("lost")
    visitor.sees("Reading the training images into memory.")
    visitor.snap("train-lost")
    visitor.press("Resume")
    expect(visitor.figure("Epoch")).to_contain_text(f"of {UNTIL_STOPPED}")
    os.kill(worker(run).pid, signal.SIGKILL)
    visitor.sees("ended without a word")


def test_a_run_outlives_the_server_that_started_it(home: Path, visit: Visit) -> None:
    with serving(home) as first:
        visitor = visit(first)
        run = visitor.starts_training(epochs=12)
        expect(visitor.figure("Epoch")).to_contain_text("of 12")
        process = worker(run)
    assert first.process.poll() is not None and process.is_alive()
    with serving(home) as second:
        visitor = visit(second)
        visitor.open("train", run=run.id)
        visitor.sees("running")
        assert worker(run) == process
        visitor.sees("finished", RUN_S)
        assert run.report() is not None
