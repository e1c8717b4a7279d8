"""What is said of a job is what is true of its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from core import jobs
from core.errors import DarkroomError
from core.files import write_json
from tests.waiting import wait_until


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def _write(folder: Path, **changes: object) -> None:
    write_json(folder / jobs.STATUS, asdict(jobs.Status(**{"state": "running", "heartbeat": time.time()} | changes)))


def _identity(process: subprocess.Popen[bytes]) -> dict[str, object]:
    found = jobs.identify(process.pid)
    assert found is not None
    return {"pid": found.pid, "process_start_time": found.start_time}


def test_a_living_process_is_running(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    _write(tmp_path, **_identity(sleeper))
    assert jobs.read_status(tmp_path).state == "running"


def test_a_killed_process_is_lost_even_while_it_is_a_zombie(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    _write(tmp_path, **_identity(sleeper))
    sleeper.kill()
    wait_until(
        lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE, "the killed process to be a zombie"
    )
    status = jobs.read_status(tmp_path)
    assert status.state == "lost" and str(sleeper.pid) in status.message


def test_a_job_that_ends_while_it_is_looked_at_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, pid=os.getpid(), process_start_time=1.0, heartbeat=time.time() - 30)

    def ends(self: jobs.ProcessIdentity) -> bool:
        _write(tmp_path, state="finished", pid=self.pid, process_start_time=1.0)
        return False

    monkeypatch.setattr(jobs.ProcessIdentity, "is_alive", ends)
    assert jobs.read_status(tmp_path).state == "finished"


def test_a_recycled_process_number_is_not_taken_for_the_job(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    identity = _identity(sleeper)
    identity["process_start_time"] = float(str(identity["process_start_time"])) - 3600
    _write(tmp_path, heartbeat=time.time() - 30, **identity)
    assert jobs.read_status(tmp_path).state == "lost"
    jobs.request_stop(tmp_path)
    assert sleeper.poll() is None  # the stranger was not touched


def test_silence_of_a_living_process_is_stalled_and_not_lost(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    _write(tmp_path, heartbeat=time.time() - 300, **_identity(sleeper))
    status = jobs.read_status(tmp_path)
    assert status.state == "stalled" and "not been heard of for 300 s" in status.message and not status.ended
    sleeper.kill()
    sleeper.wait()
    assert jobs.read_status(tmp_path).state == "lost"


def test_a_paused_process_is_stalled_and_recovers(tmp_path: Path) -> None:
    jobs.prepare(tmp_path)
    process = jobs.launch(tmp_path, "tests.waiting", str(tmp_path))
    wait_until(lambda: jobs.read_status(tmp_path).state == "running", "the job to say it runs")
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: jobs.read_status(tmp_path).state == "stalled", "the pause to be noticed")
    assert f"kill -CONT {process.pid}" in jobs.read_status(tmp_path).message
    jobs.request_stop(tmp_path)
    assert jobs.read_status(tmp_path).state == "stalled"  # it cannot hear of that now
    os.kill(process.pid, signal.SIGCONT)
    wait_until(lambda: jobs.read_status(tmp_path).state == "stopped", "it to go on and heed the request")


def test_only_the_very_process_is_killed_with_all_it_started(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    mine = jobs.identify(sleeper.pid)
    assert mine is not None
    assert not jobs.ProcessIdentity(mine.pid, mine.start_time - 3600).kill_tree()
    assert sleeper.poll() is None  # a stranger with the number of a process that ended an hour ago
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: bool(psutil.Process(parent.pid).children()), "its child")
    (child,) = psutil.Process(parent.pid).children()
    identity = jobs.identify(parent.pid)
    assert identity is not None and identity.kill_tree()
    assert parent.wait() == -signal.SIGKILL and sleeper.poll() is None
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the child's end")
    assert not identity.kill_tree()


def test_the_last_word_of_a_dead_job_is_said_by_another(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    _write(tmp_path, created=7.0, **_identity(sleeper))
    assert not jobs.conclude(tmp_path, "Stopped.") and jobs.read_status(tmp_path).state == "running"
    sleeper.kill()
    sleeper.wait()
    assert jobs.conclude(tmp_path, "Stopped.")
    status = jobs.read_status(tmp_path)
    assert (status.state, status.message, status.created) == ("stopped", "Stopped.", 7.0)
    assert not jobs.conclude(tmp_path, "Again.") and jobs.read_status(tmp_path).message == "Stopped."


def test_an_ended_job_stays_what_it_was(tmp_path: Path) -> None:
    _write(tmp_path, state="finished", pid=1, process_start_time=1.0, heartbeat=1.0)
    assert jobs.read_status(tmp_path).state == "finished"


def test_a_stop_request_shows_as_stopping(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    _write(tmp_path, **_identity(sleeper))
    jobs.request_stop(tmp_path)
    assert jobs.read_status(tmp_path).state == "stopping"


def test_a_job_that_never_started_is_queued_first_and_lost_later(tmp_path: Path) -> None:
    jobs.prepare(tmp_path)
    assert jobs.read_status(tmp_path).state == "queued"
    assert jobs.read_status(tmp_path, now=time.time() + 60).state == "lost"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 3', '"x"'])
def test_a_damaged_status_file_is_lost_not_a_crash(tmp_path: Path, text: str) -> None:
    (tmp_path / jobs.STATUS).write_text(text)
    assert jobs.read_status(tmp_path).state == "lost"


def test_a_launched_job_survives_its_parent_and_logs_to_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    starter = (
        "import sys; from pathlib import Path; from core import jobs; folder = Path(sys.argv[1]);"
        "jobs.prepare(folder); print(jobs.launch(folder, 'tests.waiting', str(folder)).pid)"
    )
    done = subprocess.run([sys.executable, "-c", starter, str(folder)], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    wait_until(lambda: jobs.read_status(folder).state == "running", "the job to say it runs")
    assert jobs.read_status(folder).pid == pid
    assert os.getsid(pid) == pid  # a session of its own: no terminal and no Ctrl-C reaches it
    jobs.request_stop(folder)
    wait_until(lambda: jobs.read_status(folder).state == "stopped", "the job to stop")
    wait_until(lambda: "stopped cleanly" in (folder / jobs.LOG).read_text(), "its last words, after its status")


def test_threads_of_a_job_do_not_wait_busily_unless_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, asked in (("by-itself", None), ("as-asked", "77")):
        if asked:
            monkeypatch.setenv("GOMP_SPINCOUNT", asked)
        folder = tmp_path / name
        folder.mkdir()
        child = jobs.spawn(folder, "tests.waiting", str(folder))
        environment = psutil.Process(child.pid).environ()
        jobs.request_stop(folder)
        assert environment["GOMP_SPINCOUNT"] == (asked or jobs.NEIGHBOURLY["GOMP_SPINCOUNT"])
        wait_until(lambda identity=child: not identity.is_alive(), "its end")


def test_heartbeats_go_on_while_the_job_computes(tmp_path: Path) -> None:
    with jobs.StatusWriter(tmp_path) as status:
        status.update(message="busy")
        first = jobs.read_status(tmp_path).heartbeat
        wait_until(lambda: jobs.read_status(tmp_path).heartbeat > first, "a second heartbeat", timeout_s=20)
    assert jobs.read_status(tmp_path).message == "busy"


def test_setting_the_clock_does_not_kill_a_job_that_beats(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """Start times are counted from the boot time, which moves with the clock."""
    identity = _identity(sleeper)
    identity["process_start_time"] = float(str(identity["process_start_time"])) + 5
    _write(tmp_path, **identity)
    assert jobs.read_status(tmp_path).state == "running"


def test_a_folder_has_one_process_at_work(tmp_path: Path) -> None:
    with jobs.StatusWriter(tmp_path):
        assert jobs.is_at_work(tmp_path)
        with pytest.raises(DarkroomError, match="Another process"), jobs.StatusWriter(tmp_path):
            pass
    assert not jobs.is_at_work(tmp_path)
