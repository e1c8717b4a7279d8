"""What is said of a run that has no result: from its own words, and from the system's where it had none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from core import jobs
from core.config import TrainConfig
from core.errors import DarkroomError, DataMoved, DiskFull, InputError, MemoryTooSmall, WeightsUnreachable
from core.files import read_json, write_json
from core.runs.store import CONFIG, Run
from core.runs.trouble import Trouble, trouble
from core.training import worker
from core.workspace import Workspace
from tests.standing_in import await_begin, await_state, start_stand_in
from tests.waiting import wait_until


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path.name, tmp_path)


def _found(run: Run) -> Trouble:
    found = trouble(run, run.status)
    assert found is not None, run.status
    return found


def _fail(run: Run, error: Exception, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """What is found where the worker's work ends with this error."""

    def failing(_: Run) -> Any:
        raise error

    write_json(run.folder / CONFIG, TrainConfig().model_dump())
    monkeypatch.setattr(Run, "manifest", failing)
    worker.main(run.folder)
    return _found(run)


@pytest.mark.parametrize(
    ("error", "kind", "title"),
    [
        (MemoryTooSmall("Out of memory with batches of 2 images.", "Lower it."), "memory", "Out of memory"),
        (MemoryError(), "memory", "Out of memory"),
        (DiskFull("The disk is full.", "Free some."), "disk", "Disk full"),
        (DataMoved("a.png could be read when it was indexed but not now.", "Restore it."), "data", "Data moved"),
        (WeightsUnreachable("No weights.", "Put them there."), "weights", "Weights unreachable"),
        (InputError("So it cannot work.", "Do otherwise."), "settings", "Settings that do not work"),
        (DarkroomError("Something."), "fault", "A fault"),
        (ZeroDivisionError("nobody foresaw"), "fault", "A fault"),
    ],
)
def test_a_failure_is_told_by_its_class(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, title: str
) -> None:
    (run.folder / jobs.LOG).write_text("".join(f"line {number}\n\n" for number in range(20)))
    found = _fail(run, error, monkeypatch)
    assert (found.kind, found.title, found.error) == (kind, title, type(error).__name__)
    assert found.last_lines == tuple(f"line {number}" for number in range(12, 20))
    if isinstance(error, DarkroomError) and error.fix:
        assert (found.message, found.what_to_do) == (error.message, error.fix)
    else:
        assert found.what_to_do and found.what_to_do not in found.message


def test_no_trouble_with_what_works_or_was_stopped(run: Run) -> None:
    for state in ("finished", "stopped"):
        write_json(run.folder / jobs.STATUS, {"state": state})
        assert trouble(run, run.status) is None
    with jobs.StatusWriter(run.folder):
        assert trouble(run, run.status) is None


def test_killed_from_outside_is_told_from_a_crash_and_from_an_exception(workspace: Workspace) -> None:
    killed = start_stand_in(workspace, "killed")
    os.kill(await_begin(killed), signal.SIGKILL)
    await_state(killed, "lost")
    wait_until(lambda: jobs.how_it_ended(killed.folder) == -signal.SIGKILL, "how it ended to be noted")
    found = _found(killed)
    assert (found.kind, found.error) == ("killed", "SIGKILL") and "Resume" in found.what_to_do
    crashed = start_stand_in(workspace, "crashed")
    os.kill(await_begin(crashed), signal.SIGSEGV)
    await_state(crashed, "lost")
    wait_until(lambda: jobs.how_it_ended(crashed.folder) is not None, "how it ended to be noted")
    assert (_found(crashed).kind, _found(crashed).error) == ("fault", "SIGSEGV")
    with open(crashed.folder / jobs.LOG, "a") as log:
        log.write("Traceback (most recent call last):\n  File ...\nImportError: no such thing\n")
    assert (_found(crashed).kind, _found(crashed).error) == ("fault", "ImportError")
    with open(crashed.folder / jobs.LOG, "a") as log:
        log.write("".join(f"12:00:0{number} Epoch {number} of 9.\n" for number in range(9)))
    assert _found(crashed).error == "SIGSEGV"  # it went on after that exception


def test_memory_that_ran_out_is_likely_where_the_system_killed_for_it_since(run: Run) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    identity = {"pid": dead.pid, "start_time": time.time()}
    status = {"state": "running", "pid": dead.pid, "process_start_time": identity["start_time"], "phase": "training"}
    write_json(run.folder / jobs.STATUS, status | {"heartbeat": time.time()})
    before = jobs.kills_for_memory()
    if before is None:
        pytest.skip("this system does not count what it kills for memory (/proc/vmstat has no oom_kill)")
    write_json(run.folder / jobs.PROCESS, identity | {"kills_for_memory": before})
    assert _found(run).kind == "killed"
    write_json(run.folder / jobs.PROCESS, identity | {"kills_for_memory": before - 1})
    found = _found(run)
    assert found.kind == "memory" and "likely this one" in found.message and "batch_size" in found.what_to_do
    write_json(run.folder / jobs.ENDED_AS, identity | {"status": -signal.SIGTERM})
    assert _found(run).kind == "killed"  # not by the one who kills for memory


def test_a_restart_of_the_machine_is_told_from_a_kill(run: Run) -> None:
    long_ago = psutil.boot_time() - 1000
    status = {"state": "running", "pid": os.getpid(), "process_start_time": long_ago, "heartbeat": long_ago + 500}
    write_json(run.folder / jobs.STATUS, status)
    assert _found(run).kind == "restarted"


def test_who_died_while_waiting_is_told_that_nothing_was_lost(workspace: Workspace) -> None:
    first, second = start_stand_in(workspace, "a"), start_stand_in(workspace, "b")
    pid = await_begin(first)
    wait_until(lambda: second.status.pid is not None, "the second to wait")
    os.kill(int(str(second.status.pid)), signal.SIGKILL)
    await_state(second, "lost")
    assert "turn had not come" in _found(second).what_to_do
    os.kill(pid, signal.SIGKILL)
    assert read_json(first.folder / jobs.PROCESS)["pid"] == pid
