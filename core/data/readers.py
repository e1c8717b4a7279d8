"""Reads many image files at once with processes of its own; one file's crash costs that file alone."""

from __future__ import annotations

import json
import os
import queue
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from core.data.kept import Keeper
from core.data.probe import Facts, probe
from core.data.quality import Measures
from core.data.reading_processes import num_readers, start_reader
from core.data.shrink import THUMB

CHUNK = 32  # files a message: long enough to hide its cost, short enough for progress to move
FEW = 200  # below this, starting processes takes longer than reading
_LOOK_EVERY_S = 0.2
_WAITING = 4  # chunks a process that are handed out ahead, so that a million files do not wait as objects

Listener = Callable[[Sequence[str], Sequence[Facts]], None]  # paths and their facts


class ReadingStopped(Exception):
    """`should_stop` said so."""


def read_files(
    root: Path,
    paths: Sequence[str],
    on_facts: Listener,
    thumbnails: Path | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> None:
    """Read each file once; nothing is kept of what `on_facts` was told.

    Args:
        root: what `paths` are relative to.
        on_facts: told of some files at a time, in no order, always in the calling thread.
        thumbnails: where to keep the images' thumbnails; None where they are not wanted yet.
        should_stop: asked several times a second.

    Raises:
        ReadingStopped: as asked; what was read until then was told.
    """
    stopping = should_stop or (lambda: False)
    if stopping():
        raise ReadingStopped
    if len(paths) < FEW:
        keeper = Keeper(thumbnails, THUMB) if thumbnails else None
        for path in paths:
            if stopping():
                raise ReadingStopped
            on_facts([path], [probe(os.path.join(root, path), keeper)])
        if keeper:
            keeper.flush()
        return
    _read_chunks(root, paths, on_facts, thumbnails, stopping)


def _read_chunks(
    root: Path, paths: Sequence[str], on_facts: Listener, thumbnails: Path | None, stopping: Callable[[], bool]
) -> None:
    num_processes = num_readers()
    chunks = (list(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK))
    readers = _Readers(root, thumbnails)
    try:
        with ThreadPoolExecutor(num_processes, thread_name_prefix="reader") as threads:
            waiting: dict[Future[list[Facts]], list[str]] = {}
            try:
                for chunk in islice(chunks, num_processes * _WAITING):
                    waiting[threads.submit(readers.read, chunk)] = chunk
                while waiting:
                    finished, _ = wait(waiting, _LOOK_EVERY_S, FIRST_COMPLETED)
                    for future in finished:
                        for chunk in islice(chunks, 1):
                            waiting[threads.submit(readers.read, chunk)] = chunk
                        on_facts(waiting.pop(future), future.result())
                    if stopping():
                        raise ReadingStopped
            except BaseException:
                readers.kill()  # so that the threads do not finish their chunks first
                threads.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        readers.close()


class _Readers:
    """As many reading processes as there are threads asking, started at need and used again.

    Plain child processes with pipes rather than `multiprocessing`: they import nothing of the program that started
    them, end with it even when it is killed, and one that crashes on a file does not take the others along.
    """

    def __init__(self, root: Path, thumbnails: Path | None) -> None:
        self._root, self._thumbnails = root, thumbnails
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[str]] = []
        self._closed = False

    def read(self, chunk: list[str]) -> list[Facts]:
        """The facts of some files; those of a file on which the process dies say so."""
        answers = self._ask(chunk)
        if answers is not None:
            return answers
        if len(chunk) == 1:
            return [Facts(error="Reading this file crashed the image decoder, or took more memory than there is.")]
        return [facts for path in chunk for facts in self.read([path])]

    def kill(self) -> None:
        """End all processes at once; who waits for an answer gets `ReadingStopped`."""
        self._closed = True
        for process in self._all:
            process.kill()

    def close(self) -> None:
        """End all processes and forget them; no thread may be asking any more."""
        self.kill()
        for process in self._all:
            process.communicate()

    def _ask(self, chunk: list[str]) -> list[Facts] | None:
        """One question to one process; None where it died of it."""
        if self._closed:
            raise ReadingStopped
        process = self._take()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(chunk) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line.endswith("\n"):
            process.kill()
            if self._closed:
                raise ReadingStopped
            return None
        self._idle.put(process)
        return [Facts(*values[:-1], Measures(*values[-1])) for values in json.loads(line)]

    def _take(self) -> subprocess.Popen[str]:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            process = start_reader(self._root, self._thumbnails)
            self._all.append(process)
            return process
