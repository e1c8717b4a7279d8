"""A job is a process with a folder: its status file, who it is, whether it still lives, how to start and stop it.

Runs and indexing share this. Nothing here knows what a job computes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import psutil
from filelock import FileLock, Timeout

from core.errors import DarkroomError
from core.files import read_json, write_json
from core.processes import DEAD, ProcessIdentity, identify, kills_for_memory, system_says
from core.workspace import REPOSITORY, Workspace

State = Literal["queued", "running", "stopping", "stopped", "finished", "failed", "lost", "stalled"]
ENDED: frozenset[str] = frozenset({"stopped", "finished", "failed", "lost"})
HEARTBEAT_S = 2.0
PROGRESS_S = 0.25  # while work moves, its status is written this often
FRESH_S = 10.0  # a heartbeat this young proves life by itself
SILENT_AFTER_S = 60.0  # thirty missed heartbeats: a busy disk does not take that long
PAUSED_AFTER_S = 5.0  # the same of a process that the system itself says is paused
_LEFTOVERS_S = 5.0  # for which the threads and children of a killed process may keep its lock
START_GRACE_S = 20.0  # between creating a folder and the launcher noting the process

TURN_CAME = "DARKROOM_TURN_CAME"  # environment of a process that waited for its turn: when that came
STATUS, PROCESS, STOP, LOG, LOCK = "status.json", "process.json", "stop", "log.txt", ".lock"
ENDED_AS = "exit.json"
# Threads that wait for one another look a short while and then sleep. By default they look for so long that beside
# another busy program training was up to four times slower; where they look shorter still, a tenth is lost to waking
# them when nobody else is at work (benchmarks/busy_machine.py).
NEIGHBOURLY = {"GOMP_SPINCOUNT": "10000"}


@dataclass(frozen=True)
class Status:
    """What a job says of itself. `lost` and `stalled` are never written, only derived by `read_status`.

    Attributes:
        state: see `State`.
        message: one plain sentence on what it does now or how it ended.
        phase: the part of the work under way, such as `training`.
        done, total: progress within the phase, in units of `unit`; total 0 where it is not known.
        rate: units a second, 0 where not known.
        eta_s: seconds left of the whole job as far as it can tell; None where it cannot.
        heartbeat: when it was last heard of, seconds since the epoch.
        extra: what only this kind of job reports (epoch, counts, ...).
    """

    state: State
    message: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    unit: str = "images"
    rate: float = 0.0
    eta_s: float | None = None
    heartbeat: float = 0.0
    created: float = 0.0
    pid: int | None = None
    process_start_time: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing of it is at work any more; a stalled job may go on and has not ended."""
        return self.state in ENDED


def read_status(folder: Path, now: float | None = None) -> Status:
    """The truth about a job, from its files and the process table; never raises for a damaged status file."""
    seen = _read_status(folder, time.time() if now is None else now)
    if seen.state != "lost":
        return seen
    # It may have ended, or another process taken over, between two looks at it: one more tells.
    return _read_status(folder, time.time() if now is None else now)


def _read_status(folder: Path, now: float) -> Status:
    try:
        raw = read_json(folder / STATUS)
        process = read_json(folder / PROCESS) or {}
        known = {f.name for f in fields(Status)}
        status = Status(**{key: value for key, value in (raw or {}).items() if key in known})
    except (DarkroomError, TypeError, AttributeError) as error:
        return Status("lost", f"Its status file is missing or damaged ({error}).")
    if status.ended:
        return status
    pid = status.pid if status.pid is not None else process.get("pid")
    start_time = status.process_start_time if status.pid is not None else process.get("start_time")
    if pid is None or start_time is None:
        if now - status.heartbeat <= START_GRACE_S:
            return status
        return replace(status, state="lost", message="It was set up but its process never started.")
    # Start times are counted from the boot time, which moves when the clock is set; a fresh heartbeat overrules that.
    silent_s = now - status.heartbeat
    is_fresh = 0 <= silent_s <= FRESH_S and system_says(pid) not in DEAD
    if not (ProcessIdentity(pid, start_time).is_alive() or (is_fresh and status.pid is not None)):
        if last_word := _stop_note(folder, "last_word"):
            return replace(status, state="stopped", message=last_word)
        return replace(
            status, state="lost", message=f"Its process ({pid}) ended without a word: killed, or the machine restarted."
        )
    if status.heartbeat and silent_s > PAUSED_AFTER_S and system_says(pid) == psutil.STATUS_STOPPED:
        return replace(status, state="stalled", message=f"Process {pid} is paused; it goes on with: kill -CONT {pid}")
    if status.heartbeat and silent_s > SILENT_AFTER_S:
        return replace(
            status, state="stalled", message=f"Process {pid} exists but has not been heard of for {int(silent_s)} s."
        )
    if (folder / STOP).exists():
        return replace(status, state="stopping", message=status.message or "Stop requested.")
    return status


def is_at_work(folder: Path, patience_s: float = 0.0) -> bool:
    """Whether a process holds the job's lock, which the system takes from it when it dies, however it dies.

    Args:
        patience_s: how long to wait for the lock; the threads of a killed process may outlast it by a moment.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=patience_s)
    except Timeout:
        return True
    lock.release()
    return False


class StatusWriter:
    """Writes a job's status file: on every `update`, and as a heartbeat from its own thread.

    Use as a context manager around the whole job; it holds the job's lock, so that a folder never has two
    processes at work, and raises `DarkroomError` where there is one already. The stop request is a file, so that
    nobody has to signal a process number that may by now belong to a stranger.
    """

    def __init__(self, folder: Path, state: State = "running", beats: bool = True) -> None:
        """
        Args:
            state: to begin with.
            beats: write heartbeats from a thread; else the job calls `update` often enough itself.
        """
        self._folder = folder
        self._writing = threading.Lock()
        self._lock_on_job = FileLock(folder / LOCK)
        self._closed = threading.Event()
        self._moved = threading.Event()
        me = identify(os.getpid())
        assert me is not None
        created = (read_json(folder / STATUS) or {}).get("created", time.time())
        self._status = Status(state, created=created, pid=me.pid, process_start_time=me.start_time)
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True) if beats else None

    def __enter__(self) -> StatusWriter:
        try:
            self._lock_on_job.acquire(timeout=0)
        except Timeout as held:
            raise DarkroomError(f"Another process is at work in {self._folder}.", "Wait for it or stop it.") from held
        self.update()
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._moved.set()
        if self._thread is not None:
            self._thread.join()
        self._lock_on_job.release()

    def update(self, **changes: Any) -> None:
        """Change fields of the status and write it at once."""
        self._status = replace(self._status, **changes)
        self._write()

    def progress(self, done: int, total: int, **changes: Any) -> None:
        """Note progress; the heartbeat's thread writes it, so that the hot loop never waits for the disk."""
        self._status = replace(self._status, done=done, total=total, **changes)
        self._moved.set()

    @property
    def stop_requested(self) -> bool:
        return (self._folder / STOP).exists()

    def _write(self) -> None:
        with self._writing:
            write_json(self._folder / STATUS, asdict(replace(self._status, heartbeat=time.time())), durable=False)

    def _beat(self) -> None:
        while not self._closed.wait(PROGRESS_S):
            self._moved.wait(HEARTBEAT_S - PROGRESS_S)
            self._moved.clear()
            if self._closed.is_set():
                return
            try:
                self._write()
            except DarkroomError as error:  # a full disk must not end the heartbeat for good
                print(f"heartbeat not written: {error}", file=sys.stderr, flush=True)


def carry_out(
    folder: Path, work: Callable[[StatusWriter], str], stopped: tuple[type[Exception], ...], what: str
) -> int:
    """Do a job's work with its status in `folder`, and turn every outcome into a status a reader can trust.

    Args:
        work: gives the message of success.
        stopped: what it raises where it ended because it was asked to.
        what: begins the message of a failure nobody foresaw, such as `Indexing`.

    Returns:
        The exit status.
    """
    exit_status = 0
    with StatusWriter(folder) as status:
        try:
            outcome: dict[str, Any] = {"state": "finished", "message": work(status), "eta_s": 0.0}
        except stopped as end:
            outcome = {"state": "stopped", "message": str(end)}
        except DarkroomError as error:
            outcome, exit_status = {"state": "failed", "message": str(error)}, error.exit_status
        except Exception as error:
            traceback.print_exc()
            outcome = {"state": "failed", "message": f"{what} failed unexpectedly ({error}); the log says where."}
            exit_status = 1
    status.update(**outcome)  # after the heartbeat's end: the last word, and nothing is written after it
    return exit_status


def conclude(folder: Path, message: str) -> bool:
    """Say of a job whose process is gone that it was stopped, as that process would have said.

    Returns:
        Whether it was said: not where a process is at work in it, or it had ended with a word of its own.
    """
    try:
        with FileLock(folder / LOCK, timeout=_LEFTOVERS_S):
            raw = read_json(folder / STATUS) or {}
            if raw.get("state") in ENDED or read_status(folder).state not in ("lost", "stopped"):
                return False
            write_json(folder / STATUS, raw | {"state": "stopped", "message": message, "rate": 0.0, "eta_s": None})
            return True
    except Timeout:
        return False


def prepare(folder: Path, message: str = "Waiting to start.", created: float | None = None) -> None:
    """Write the first status of a job whose process is about to start, and forget an earlier stop request.

    Args:
        created: when the job was first set up, seconds since the epoch; now by default.
    """
    (folder / STOP).unlink(missing_ok=True)
    (folder / PROCESS).unlink(missing_ok=True)
    write_json(
        folder / STATUS, asdict(Status("queued", message, created=created or time.time(), heartbeat=time.time()))
    )


def progress_in(folder: Path) -> Status | None:
    """How far the job of that folder is or how it ended; None where none was started."""
    return read_status(folder) if (folder / STATUS).is_file() else None


def cancel_in(folder: Path) -> None:
    """Ask the job of that folder to end; nothing happens where none is at work."""
    status = progress_in(folder)
    if status is not None and not status.ended:
        request_stop(folder)


def launch(folder: Path, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> ProcessIdentity:
    """Start the job's program `python -m module arguments...` and note who it is; see `spawn`. Call `prepare` first."""
    identity = spawn(folder, module, *arguments, environment=environment, note_end=True)
    write_json(folder / PROCESS, asdict(identity) | {"kills_for_memory": kills_for_memory()})
    return identity


def spawn(
    folder: Path,
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    note_end: bool = False,
) -> ProcessIdentity:
    """Start `python -m module arguments...` as a session of its own that outlives this process.

    Its output is appended to the folder's log.

    Args:
        environment: variables beside those of this process.
        note_end: write down how it ended (`how_it_ended`), as long as this process lives to see it.
    """
    with open(folder / LOG, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # By its full path: a relative DARKROOM_HOME would mean another folder in the child's working directory.
            env={
                **NEIGHBOURLY,
                **os.environ,
                **Workspace.default().environment,
                "PYTHONUNBUFFERED": "1",
                **(environment or {}),
            },
        )
    identity = identify(child.pid) or ProcessIdentity(child.pid, time.time())

    def reap() -> None:
        status = child.wait()
        if note_end and status:
            with contextlib.suppress(DarkroomError):  # the folder may have been deleted meanwhile
                write_json(folder / ENDED_AS, {**asdict(identity), "status": status}, durable=False)

    # Reaped from a thread of this process: a child nobody waits for would stay in the process table as a zombie.
    threading.Thread(target=reap, name=f"reap-{child.pid}", daemon=True).start()
    return identity


def how_it_ended(folder: Path) -> int | None:
    """The exit status of the job's process, negative the number of the signal that ended it; None where not known.

    It is known where the process that launched it was still there, and it did not end well.
    """
    try:
        noted, process = read_json(folder / ENDED_AS) or {}, read_json(folder / PROCESS) or {}
        same = noted["pid"] == process["pid"] and noted["start_time"] == process["start_time"]
        return int(noted["status"]) if same else None
    except (DarkroomError, KeyError, TypeError, ValueError, AttributeError):
        return None


def job_processes(folder: Path) -> list[ProcessIdentity]:
    """The processes of a job that live: the one that was launched and, with torchrun another, the one that reports."""
    status = read_status(folder)
    found = [ProcessIdentity(status.pid or 0, status.process_start_time or 0.0)]
    try:
        noted = read_json(folder / PROCESS) or {}
        found.insert(0, ProcessIdentity(int(noted["pid"]), float(noted["start_time"])))
    except (DarkroomError, KeyError, TypeError, ValueError, AttributeError):
        pass  # not written yet, or damaged
    return list({one.pid: one for one in found if one.pid > 0 and one.is_alive()}.values())


def began() -> float:
    """When this process began with what it does, seconds since the epoch; before that it may have waited its turn."""
    return float(os.environ.get(TURN_CAME) or psutil.Process().create_time())


def request_stop(folder: Path, reason: str = "", last_word: str = "") -> None:
    """Ask a job to end cleanly at its next step.

    Args:
        reason: a sentence, where it is another than that somebody wants it; see `stop_reason`.
        last_word: what is said of the job once its process is gone without a word; for one that is about to be killed.
    """
    write_json(folder / STOP, {"requested": time.time(), "reason": reason, "last_word": last_word})


def stop_reason(folder: Path) -> str:
    """Why a job was asked to stop; empty where it was not, or nobody said why."""
    return _stop_note(folder, "reason")


def _stop_note(folder: Path, name: str) -> str:
    try:
        return str((read_json(folder / STOP) or {}).get(name, ""))
    except (DarkroomError, AttributeError):  # touched by a signal's handler: an empty file
        return ""
