"""Who goes next, and that the queue outlives whoever dies: real processes, with a worker that computes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from core import jobs
from core.errors import InputError
from core.files import read_jsonl, write_json
from core.runs import launch, line, queue
from core.runs.launch import resume_run, stop_now, stop_run
from core.runs.order import Request, read_order, request_of
from core.runs.store import DATA, MANIFEST, Run
from core.workspace import REPOSITORY, Workspace
from tests.idle_worker import DEAF, END, TRACE
from tests.running import in_process
from tests.standing_in import (
    at_once,
    await_begin,
    await_state,
    begun,
    finish,
    make_run,
    start_stand_in,
)
from tests.waiting import wait_until

# A server that starts runs as the dashboard's does, and does what it is told until it is killed.
SERVER = """
import sys
from core.runs import launch, line, queue
from core.runs.store import open_run
from core.workspace import Workspace
from tests.standing_in import start_stand_in
workspace = Workspace.default()
for line in sys.stdin:
    what, name, *more = line.split()
    if what == "start":
        start_stand_in(workspace, name)
    elif what == "stop":
        launch.stop_run(open_run(workspace, name))
    else:
        getattr(queue, what)(workspace, name, *map(int, more))
    print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def _idle_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a run that is resumed has a worker that computes nothing."""
    monkeypatch.setattr(launch, "WORKER", "tests.idle_worker")


class Server:
    """A process that is told what to do, line by line."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, *orders: str) -> None:
        """Do it and wait until it is done."""
        assert self.process.stdin is not None and self.process.stdout is not None
        for order in orders:
            self.process.stdin.write(f"{order}\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        """As an oom killer or a closed lid would: it cannot say anything any more."""
        self.process.kill()
        self.process.wait()


def _ids(workspace: Workspace) -> list[str]:
    return [row.run_id for row in queue.waiting(workspace)]


def test_six_runs_one_slot_and_everything_that_can_happen(workspace: Workspace) -> None:
    server = Server()
    server.do(*(f"start {name}" for name in "abcdef"))
    a, b, c, d, e, f = (Run(name, workspace.run(name)) for name in "abcdef")
    await_begin(a)
    server.kill()
    server = Server()  # first restart
    server.do("move f 1", "cancel c")
    wait_until(lambda: _ids(workspace) == ["f", "b", "d", "e"], "the new order")
    assert await_state(c).message == line.CANCELLED
    wait_until(lambda: "the run a" in f.status.message, "the next to say what it waits for")
    assert [row.waits_for for row in queue.waiting(workspace)][:2] == [
        "for the run a, which uses the CPU's one slot",
        "for the run a, which uses the CPU's one slot; 1 other goes before it",
    ]
    server.kill()
    finish(a)
    os.kill(await_begin(f), signal.SIGKILL)
    assert await_state(f).state == "lost"
    await_begin(b)
    server = Server()  # second restart
    server.do("stop b")
    assert await_state(b).message == "Stopped as asked."
    for run in (d, e):
        await_begin(run)
        finish(run)
    server.kill()
    assert [run.status.state for run in (a, b, c, d, e, f)] == [
        "finished", "stopped", "stopped", "finished", "finished", "lost",
    ]  # fmt: skip
    assert begun(workspace) == ["a", "f", "b", "d", "e"] and at_once(workspace) == 1
    assert queue.waiting(workspace) == []
    wait_until(lambda: queue.at_work(workspace) == [], "the last process to be gone")
    resume_run(f)
    await_begin(f)
    finish(f)
    assert at_once(workspace) == 1


def test_the_worker_is_the_process_that_waited_and_its_slot_goes_with_it(workspace: Workspace) -> None:
    run, other = start_stand_in(workspace, "a"), start_stand_in(workspace, "b")
    pid = await_begin(run)
    noted = json.loads((run.folder / jobs.PROCESS).read_text())
    assert pid == noted["pid"] and jobs.ProcessIdentity(pid, noted["start_time"]).is_alive()
    (holder,) = queue.at_work(workspace)
    assert (holder.run_id, holder.device, holder.slot, holder.pid) == ("a", "cpu", 1, pid)
    wait_until(lambda: other.status.pid is not None, "the other to wait")
    waiting = psutil.Process(int(str(other.status.pid)))
    assert not [path for path in (one.path for one in waiting.memory_maps()) if "torch" in path or "pandas" in path]
    assert waiting.memory_info().rss < 60e6
    os.kill(pid, signal.SIGKILL)
    await_begin(other)
    stop_run(other)
    assert await_state(other).state == "stopped"


def test_held_runs_let_others_go_first_and_keep_their_place(workspace: Workspace) -> None:
    a, b, c = (start_stand_in(workspace, name) for name in "abc")
    await_begin(a)
    queue.hold(workspace, "b")
    wait_until(lambda: b.status.extra.get("held") is True, "the run to say that it is held")
    assert b.status.state == "queued" and queue.waiting(workspace)[0].waits_for == "until it is released"
    finish(a)
    await_begin(c)
    assert queue.waiting_one(workspace, "b") is not None
    queue.release(workspace, "b")
    finish(c)
    await_begin(b)
    finish(b)
    assert begun(workspace) == ["a", "c", "b"] and at_once(workspace) == 1


def test_two_slots_take_two_at_once_and_none_takes_none(workspace: Workspace) -> None:
    queue.set_slots(workspace, "cpu", 0)
    runs = [start_stand_in(workspace, name) for name in "abc"]
    wait_until(lambda: "is given a slot" in runs[0].status.message, "the first to say what it waits for")
    queue.set_slots(workspace, "cpu", 2)
    for run in runs[:2]:
        await_begin(run)
    assert queue.waiting(workspace)[0].waits_for == "for one of the runs a or b, which use the CPU's 2 slots"
    queue.set_slots(workspace, "cpu", 1)
    finish(runs[0])
    time.sleep(1)  # in which the third would begin
    assert runs[2].status.state == "queued"
    finish(runs[1])
    await_begin(runs[2])
    finish(runs[2])
    assert at_once(workspace) == 2


def test_who_dies_while_waiting_is_passed_over_and_resumed_in_its_place(workspace: Workspace) -> None:
    a, b, c, d = (start_stand_in(workspace, name) for name in "abcd")
    await_begin(a)
    wait_until(lambda: all(run.status.pid is not None for run in (b, c, d)), "all to wait")
    os.kill(int(str(b.status.pid)), signal.SIGKILL)
    os.kill(int(str(c.status.pid)), signal.SIGKILL)
    wait_until(lambda: [run.status.state for run in (b, c)] == ["lost", "lost"], "both to be lost")
    assert [(row.run_id, row.state) for row in queue.waiting(workspace)] == [
        ("b", "lost"), ("c", "lost"), ("d", "queued"),
    ]  # fmt: skip
    resume_run(c)
    queue.cancel(workspace, "b")  # nobody is there to hear of it
    assert (b.status.state, b.status.message) == ("stopped", line.CANCELLED)
    wait_until(lambda: c.status.pid is not None, "it to wait again")
    finish(a)
    await_begin(c)
    finish(c)
    finish_last = await_begin(d)
    assert finish_last and begun(workspace) == ["a", "c", "d"]
    finish(d)


def test_a_paused_run_that_waits_holds_nobody_up(workspace: Workspace) -> None:
    a, b, c = (start_stand_in(workspace, name) for name in "abc")
    await_begin(a)
    wait_until(lambda: b.status.pid is not None, "the second to wait")
    pid = int(str(b.status.pid))
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: b.status.state == "stalled", "the pause to be noticed")
    finish(a)
    await_begin(c)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: b.status.state == "queued", "it to recover")
    finish(c)
    await_begin(b)
    finish(b)


def test_stop_now_kills_what_does_not_end_and_says_that_it_was_stopped(workspace: Workspace) -> None:
    run = make_run(workspace, "a")
    (run.folder / DEAF).touch()
    jobs.launch(run.folder, "core.runs.turn", str(run.folder))
    process = jobs.identify(await_begin(run))
    child = psutil.Process(int((run.folder / DEAF).read_text()))
    stop_now(run, grace_s=1)
    assert run.status.state == "stopping"
    status = await_state(run)
    assert status.state == "stopped" and "killed 1 s after" in status.message
    assert process is not None and not process.is_alive()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "its child's end")
    other = start_stand_in(workspace, "b")
    await_begin(other)
    stop_now(other)
    assert await_state(other).message == "Stopped as asked."  # it heeds the request, so nobody is killed


def test_a_paused_run_is_stalled_and_can_be_stopped_now(workspace: Workspace) -> None:
    run = start_stand_in(workspace, "a")
    os.kill(await_begin(run), signal.SIGSTOP)
    wait_until(lambda: run.status.state == "stalled", "the pause to be noticed")
    with pytest.raises(InputError, match="is stalled"):
        resume_run(run)
    stop_now(run, grace_s=0)
    assert await_state(run).state == "stopped"


def test_nothing_signals_a_stranger_that_has_the_number_by_now(workspace: Workspace) -> None:
    run = make_run(workspace, "a")
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        mine = jobs.identify(stranger.pid)
        assert mine is not None
        stale = {"pid": mine.pid, "start_time": mine.start_time - 3600}
        write_json(run.folder / jobs.PROCESS, stale)
        status = {"state": "running", "pid": mine.pid, "process_start_time": stale["start_time"], "phase": "training"}
        write_json(run.folder / jobs.STATUS, status | {"heartbeat": time.time() - 30, "created": time.time() - 60})
        assert run.status.state == "lost"
        stop_run(run)
        stop_now(run, grace_s=0)
        jobs.spawn(run.folder, "core.runs.ending", str(run.folder), "0")  # what stop_now starts for one at work
        wait_until(lambda: run.status.state == "stopped", "the last word on the run")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_order_is_changed_in_one_file_that_damage_does_not_break(workspace: Workspace) -> None:
    for name in "abcd":
        make_run(workspace, name)
    queue.move(workspace, "d", 2)
    assert _ids(workspace) == ["a", "d", "b", "c"]
    queue.move(workspace, "a", 99)
    queue.move(workspace, "c", 0)
    assert _ids(workspace) == ["c", "d", "b", "a"]
    assert [row.place for row in queue.waiting(workspace)] == [1, 2, 3, 4]
    queue.cancel(workspace, "d")
    assert _ids(workspace) == ["c", "b", "a"]
    for change in (queue.hold, queue.release, queue.cancel):
        with pytest.raises(InputError, match="does not wait"):
            change(workspace, "d")
    workspace.queue.write_text("{half")
    assert _ids(workspace) == [] and queue.slots(workspace)["cpu"] == 1
    line.join(workspace, workspace.run("b"), read_request(workspace, "b"))
    assert _ids(workspace) == ["b"]


def read_request(workspace: Workspace, name: str) -> Request:
    found = request_of(workspace, name)
    assert found is not None
    return found


def test_a_run_that_waits_joins_again_when_the_file_is_lost(workspace: Workspace) -> None:
    a, b = (start_stand_in(workspace, name) for name in "ab")
    await_begin(a)
    workspace.queue.unlink()
    wait_until(lambda: _ids(workspace) == ["b"], "it to join again")
    finish(a)
    await_begin(b)
    finish(b)


def test_each_run_has_a_gpu_of_its_own_and_the_cpu_is_another_matter(workspace: Workspace) -> None:
    two: dict[str, Any] = {"devices": ["cuda:0", "cuda:1"], "visible": {"cuda:0": "GPU-a", "cuda:1": "GPU-b"}}
    a, b = (start_stand_in(workspace, name, **two) for name in "ab")
    for run in (a, b):
        await_begin(run)
    both = start_stand_in(workspace, "both", num=2, **two)
    after = start_stand_in(workspace, "after", **two)
    cpu = start_stand_in(workspace, "cpu")
    await_begin(cpu)  # nobody before it wants the CPU
    on = {"cpu": "cpu", "cuda:0": "a", "cuda:1": "b"}
    assert {one.device: one.run_id for one in queue.at_work(workspace)} == on
    waits = {row.run_id: row for row in queue.waiting(workspace)}
    assert waits["both"].waits_for == "for 2 GPUs at once, some of which a and b use" and waits["both"].device == "gpu"
    words = "for one of the runs a or b, which use the 2 GPUs' 2 slots; 1 other goes before it"
    assert waits["after"].waits_for == words and waits["after"].behind == ("a", "b", "both")
    finish(a)
    wait_until(lambda: queue.waiting(workspace)[0].behind == ("b",), "the first GPU to be free")
    assert after.status.state == "queued"  # or those that need several would never have their turn
    finish(b)
    await_begin(both)
    finish(both)
    await_begin(after)
    finish(after)
    finish(cpu)
    visible = {row["run"]: row["visible"] for row in read_jsonl(workspace.root / TRACE)}
    assert (visible["a"], visible["b"], visible["both"]) == ("GPU-a", "GPU-b", "GPU-a,GPU-b")


def test_a_run_is_tried_again_as_a_new_one(workspace: Workspace) -> None:
    run = make_run(workspace, "a")
    queue.cancel(workspace, "a")
    manifest = pd.DataFrame({"path": ["x.png", "y.png"], "label": ["x", "y"], "split": ["train", "val"]})
    manifest.to_parquet(run.folder / MANIFEST)
    write_json(run.folder / DATA, {"dataset_fingerprint": "f", "num_edits": 3})
    done = in_process("train", "--retry", "a", "--detach")
    assert done.status == 0, done.errors
    again = Run(done.result["run"], workspace.run(done.result["run"]))
    assert again.id != "a" and again.config == run.config and again.data() == run.data()
    assert again.manifest().equals(manifest)
    await_begin(again)
    finish(again)
    refused = in_process("train", "--retry", "a", "--resume", "a")
    assert refused.status == 2 and "one of them" in refused.result["error"]


@pytest.mark.parametrize(("device", "num"), [("tpu", 1), ("cuda", 1), ("cuda:x", 1), ("cpu", -1), ("cpu", 65)])
def test_slots_that_cannot_be(workspace: Workspace, device: str, num: int) -> None:
    with pytest.raises(InputError):
        queue.set_slots(workspace, device, num)


def test_what_the_command_line_says_and_changes(workspace: Workspace) -> None:
    for name in "abc":
        make_run(workspace, name)
    done = in_process("queue", "--slots", "cpu=3")
    assert done.status == 0 and done.result["slots"]["cpu"] == 3
    assert [row["run_id"] for row in done.result["waiting"]] == ["a", "b", "c"]
    assert [row["run_id"] for row in in_process("queue-move", "c", "1").result["waiting"]] == ["c", "a", "b"]
    assert in_process("hold", "a").result["waiting"][1]["held"] is True
    assert in_process("release", "a").result["waiting"][1]["held"] is False
    assert [row["run_id"] for row in in_process("cancel", "c").result["waiting"]] == ["a", "b"]
    refused = [in_process("cancel", "c"), in_process("queue", "--slots", "cpu"), in_process("queue-move", "a", "0")]
    assert [one.status for one in refused] == [2, 2, 2] and "does not wait" in refused[0].result["error"]
    assert read_order(workspace).slots == {"cpu": 3}


def test_a_run_elsewhere_than_in_the_workspace_waits_too(workspace: Workspace, tmp_path: Path) -> None:
    first = start_stand_in(workspace, "a")
    await_begin(first)
    elsewhere = tmp_path / "elsewhere" / "runs" / "x"
    elsewhere.mkdir(parents=True)
    jobs.prepare(elsewhere)
    command = [sys.executable, "-m", "tests.idle_worker", str(elsewhere)]
    line.join(workspace, elsewhere, Request(command))
    jobs.launch(elsewhere, "core.runs.turn", str(elsewhere))
    run = Run("x", elsewhere)
    wait_until(lambda: "the run a" in run.status.message, "it to wait")
    assert _ids(workspace) == [str(elsewhere)]
    finish(first)
    await_begin(run)
    (run.folder / END).touch()
    await_state(run, "finished")
