"""The processes that read images; imports nothing slow, so that they are at work before all else is loaded.

`python -m core index FOLDER` has them read before it knows what is to become of the answers: what it needs beside them
takes a second to import.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from core.data.walk import find_images, path_digest
from core.workspace import REPOSITORY, Workspace

CHUNK = 32  # files a question: long enough to hide its cost, short enough for progress to move
FEW = 200  # files; below this, starting processes takes longer than reading
_MAX_PROCESSES = 16  # beyond this the disk is the limit
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each process is one of many
_AHEAD = 16  # questions a process that are asked before anybody waits for the answers
_PIPE_HOLDS = 60_000  # bytes; what is written beyond may have to wait for the reader, who may be waiting for us
_ANSWERS = 2**20  # bytes of answers that may wait, where the system allows


class _Process(Protocol):
    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


class Reader:
    """A process that answers as `core.data.probe.serve` does.

    Attributes:
        asked: questions it was sent whose answers were not fetched, oldest first.
    """

    def __init__(self, process: _Process, questions: IO[str], answers: IO[str], serves: tuple[str, str]) -> None:
        self.asked: deque[list[str]] = deque()
        self._process, self._questions, self._answers, self._serves = process, questions, answers, serves

    def ask(self, chunk: list[str]) -> None:
        """Send a question; raises `OSError` where the process has ended."""
        self._questions.write(json.dumps(chunk) + "\n")
        self._questions.flush()
        self.asked.append(chunk)

    def answer(self) -> tuple[list[str], list[list[object]] | None]:
        """The oldest question with its answer; None where the process died of it."""
        chunk = self.asked.popleft()
        line = self._answers.readline()
        return chunk, json.loads(line) if line.endswith("\n") else None

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """End it and forget it."""
        self.kill()
        self._process.wait()
        for stream in (self._questions, self._answers):
            with suppress(OSError):
                stream.close()

    def is_for(self, root: Path, thumbnails: Path | None) -> bool:
        """Whether it serves these and still lives."""
        return self._serves == _served(root, thumbnails) and self._process.poll() is None


_early: list[Reader] = []
_began_ahead: float | None = None


def num_readers() -> int:
    """How many processes read at once."""
    return min(max(2, os.cpu_count() or 2), _MAX_PROCESSES)


def start_reader(root: Path, thumbnails: Path | None) -> Reader:
    """A new process."""
    import subprocess  # not needed where processes are forked

    serves = _served(root, thumbnails)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "core.data.probe", *serves],
        cwd=REPOSITORY,
        env=os.environ | _ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdin and process.stdout
    return Reader(process, process.stdin, process.stdout, serves)


def take_early(root: Path, thumbnails: Path | None) -> list[Reader]:
    """The processes that read ahead for this, if there are any."""
    early, _early[:] = list(_early), []
    fitting = [reader for reader in early if reader.is_for(root, thumbnails)]
    for reader in early:
        if reader not in fitting:
            reader.close()
    return fitting


def began_reading() -> float:
    """Now, or when reading ahead began, where it did: the time from which a speed counts, of `time.monotonic`."""
    return time.monotonic() if not _early or _began_ahead is None else _began_ahead


def read_ahead(arguments: list[str]) -> None:
    """Have images read while the rest of this program loads, where the command line is to index a new folder.

    To be called while there is one thread: on Linux the processes are forked, which saves them from loading what this
    one needs too. Those that are not needed after all end with this process.
    """
    if len(arguments) < 2 or arguments[0] != "index" or not os.path.isdir(arguments[1]):
        return
    root, ws = Path(os.path.realpath(arguments[1])), Workspace.default()
    known = f"*-{path_digest(root)}"
    if any(any(folder.glob(known)) for folder in (ws.root / "datasets", ws.root / "cache" / "indexing")):
        return  # little may have changed
    try:
        images = find_images(root).images
    except OSError:
        return  # whoever wants them will say so
    if len(images) < FEW:
        return
    global _began_ahead
    _began_ahead = time.monotonic()
    start = _fork if sys.platform == "linux" else start_reader
    _early.extend(start(root, ws.thumbnails) for _ in range(num_readers()))
    chunks = [images[place : place + CHUNK] for place in range(0, len(images), CHUNK)]
    waiting = dict.fromkeys(_early, 0)
    for reader, chunk in zip(_early * _AHEAD, chunks, strict=False):
        waiting[reader] += len(json.dumps(chunk)) + 1
        if waiting[reader] < _PIPE_HOLDS:
            with suppress(OSError):  # it has died already; the files will be asked for again
                reader.ask(chunk)


def _served(root: Path, thumbnails: Path | None) -> tuple[str, str]:
    return str(root), str(thumbnails or "")


class _Forked:
    """A child of this process, as far as `Reader` uses `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        return self._status if self._status is not None else self._ended(os.WNOHANG)

    def wait(self) -> int:
        status = self._status if self._status is not None else self._ended(0)
        assert status is not None
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, how: int) -> int | None:
        pid, status = os.waitpid(self.pid, how)
        self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


def _fork(root: Path, thumbnails: Path | None) -> Reader:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; a fork would lose its threads
    import fcntl

    from core.data.probe import serve

    questions_out, questions_in = os.pipe()
    answers_out, answers_in = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(answers_in, fcntl.F_SETPIPE_SZ, _ANSWERS)
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(questions_out, 0)
            os.dup2(answers_in, 1)
            os.closerange(3, 3 + 8 * _MAX_PROCESSES)  # else it would keep the others' questions open
            serve(*_served(root, thumbnails))
        finally:
            os._exit(0)
    os.close(questions_out)
    os.close(answers_in)
    streams = open(questions_in, "w", encoding="utf-8"), open(answers_out, encoding="utf-8")  # noqa: SIM115
    return Reader(_Forked(pid), *streams, _served(root, thumbnails))
