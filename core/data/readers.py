"""Reads many image files at once with processes of its own; one file's crash costs that file alone."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from core.data.probe import Facts, probe
from core.workspace import REPOSITORY

CHUNK = 32  # files a message: long enough to hide its cost, short enough for progress to move
FEW = 200  # below this, starting processes takes longer than reading
_MAX_PROCESSES = 16  # beyond this the disk is the limit
_LOOK_EVERY_S = 0.2


class ReadingStopped(Exception):
    """`should_stop` said so."""


def read_files(
    root: Path,
    paths: Sequence[str],
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[Facts]:
    """The facts of each file, in the order of `paths`.

    Args:
        root: what `paths` are relative to.
        on_progress: told now and then how many files are done.
        should_stop: asked several times a second.

    Raises:
        ReadingStopped: as asked.
    """
    report = on_progress or (lambda done: None)
    stopping = should_stop or (lambda: False)
    if stopping():
        raise ReadingStopped
    if len(paths) < FEW:
        facts = []
        for path in paths:
            if stopping():
                raise ReadingStopped
            facts.append(probe(os.path.join(root, path)))
            report(len(facts))
        return facts
    chunks = [list(paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    return [facts for chunk in _read_chunks(root, chunks, report, stopping) for facts in chunk]


def _read_chunks(
    root: Path, chunks: list[list[str]], report: Callable[[int], None], stopping: Callable[[], bool]
) -> list[list[Facts]]:
    num_processes = min(max(2, os.cpu_count() or 2), _MAX_PROCESSES, len(chunks))
    readers = _Readers(root)
    try:
        with ThreadPoolExecutor(num_processes, thread_name_prefix="reader") as threads:
            futures = [threads.submit(readers.read, chunk) for chunk in chunks]
            try:
                _watch(futures, report, stopping)
            except BaseException:
                readers.kill()  # so that the threads do not finish their chunks first
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return [future.result() for future in futures]
    finally:
        readers.close()


def _watch(futures: list[Future[list[Facts]]], report: Callable[[int], None], stopping: Callable[[], bool]) -> None:
    waiting, num_done = set(futures), 0
    while waiting:
        finished, waiting = wait(waiting, _LOOK_EVERY_S, FIRST_COMPLETED)
        num_done += sum(len(future.result()) for future in finished)
        report(num_done)
        if stopping():
            raise ReadingStopped


class _Readers:
    """As many reading processes as there are threads asking, started at need and used again.

    Plain child processes with pipes rather than `multiprocessing`: they import nothing of the program that started
    them, end with it even when it is killed, and one that crashes on a file does not take the others along.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
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
        return [Facts(*values) for values in json.loads(line)]

    def _take(self) -> subprocess.Popen[str]:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "core.data.probe", self._root],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
            self._all.append(process)
            return process
