"""Runs for tests of the queue, with a worker that computes nothing (`tests.idle_worker`)."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, replace
from typing import Any

from core import jobs
from core.config import TrainConfig
from core.files import read_jsonl, write_json
from core.runs import line
from core.runs.order import Request
from core.runs.store import CONFIG, Run
from core.workspace import Workspace
from tests.idle_worker import END, TRACE
from tests.waiting import wait_until


def make_run(workspace: Workspace, name: str, **request: Any) -> Run:
    """A run folder that waits for nobody yet; `request` are fields of `core.runs.order.Request`."""
    run = Run(name, workspace.run(name))
    run.folder.mkdir()
    jobs.prepare(run.folder)
    write_json(run.folder / CONFIG, TrainConfig().model_dump())
    command = [sys.executable, "-m", "tests.idle_worker", str(run.folder)]
    line.join(workspace, run.folder, replace(Request(command), **request))
    return run


def start_stand_in(workspace: Workspace, name: str, **request: Any) -> Run:
    """The same with a process that waits for its turn."""
    run = make_run(workspace, name, **request)
    jobs.launch(run.folder, "core.runs.turn", str(run.folder))
    return run


def stay_queued(*runs: Run) -> None:
    """As if a process waited for each, for tests that only look: it is the tests' own."""
    me = jobs.identify(os.getpid())
    assert me is not None
    for run in runs:
        waits = jobs.Status("queued", heartbeat=time.time(), pid=me.pid, process_start_time=me.start_time)
        write_json(run.folder / jobs.STATUS, asdict(waits))


def begun(workspace: Workspace) -> list[str]:
    """The runs whose stand-in began, in that order."""
    return [row["run"] for row in read_jsonl(workspace.root / TRACE)]


def at_once(workspace: Workspace) -> int:
    """How many stand-ins were at work at once at most."""
    return max(1 + row["others"] for row in read_jsonl(workspace.root / TRACE))


def await_state(run: Run, *states: str) -> jobs.Status:
    """The run's status once it is in one of the states, by default one that ends it."""
    wait_until(lambda: run.status.state in (states or jobs.ENDED), f"{run.id} to be {states or 'ended'}", timeout_s=60)
    return run.status


def await_begin(run: Run) -> int:
    """The stand-in's process, once it is at work."""
    wait_until(lambda: run.status.message == "Standing in." or run.status.ended, f"{run.id} to begin", timeout_s=60)
    status = run.status
    assert status.state == "running" and status.pid is not None, (status, run.log_tail())
    return status.pid


def finish(run: Run) -> None:
    """Let the stand-in end well."""
    (run.folder / END).touch()
    await_state(run, "finished")
