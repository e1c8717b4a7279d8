"""Reads many image files at once with processes of its own; one file's crash costs that file alone."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from core.data.kept import Keeper
from core.data.probe import Facts, probe
from core.data.quality import Measures
from core.data.reading_processes import CHUNK, FEW, Reader, num_readers, start_reader, take_early
from core.data.shrink import THUMB

_LOOK_EVERY_S = 0.2
_ASKED = 2  # questions a process has at a time: it never waits for the next one

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
    readers = _Readers(root, paths, thumbnails)
    try:
        num_left = len(paths)
        while num_left:
            for some, facts in readers.answers():
                num_left -= len(some)
                on_facts(some, facts)
            if stopping():
                raise ReadingStopped
    finally:
        readers.close()


class _Readers:
    """Some processes, each with a thread of this one that asks it and hears its answers.

    Plain child processes with pipes rather than `multiprocessing`: they import nothing of the program that started
    them, end with it even when it is killed, and one that crashes on a file does not take the others along.
    """

    def __init__(self, root: Path, paths: Sequence[str], thumbnails: Path | None) -> None:
        self._root, self._thumbnails = root, thumbnails
        early = take_early(root, thumbnails)
        asked = {path for reader in early for chunk in reader.asked for path in chunk}
        self._unwanted = asked.difference(paths)
        unasked = [path for path in paths if path not in asked] if asked else paths
        self._chunks = (list(unasked[start : start + CHUNK]) for start in range(0, len(unasked), CHUNK))
        self._again: deque[list[str]] = deque()  # a process died before it answered
        self._choosing = threading.Lock()
        # Bounded, so that the answers of a million files do not wait as objects.
        self._answers: queue.Queue[tuple[list[str], list[Facts]] | BaseException] = queue.Queue(4 * num_readers())
        self._closed = False
        self._readers: list[Reader] = early
        self._threads = [
            threading.Thread(target=self._work, args=(early[place] if place < len(early) else None,), daemon=True)
            for place in range(num_readers())
        ]
        for thread in self._threads:
            thread.start()

    def answers(self) -> Iterator[tuple[list[str], list[Facts]]]:
        """What has been answered, waiting a little for the first."""
        with suppress(queue.Empty):
            answer = self._answers.get(timeout=_LOOK_EVERY_S)
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def close(self) -> None:
        """End all processes at once and forget them."""
        self._closed = True
        for reader in list(self._readers):
            reader.kill()
        for thread in self._threads:
            while thread.is_alive():
                with suppress(queue.Empty):  # it may be waiting to hand over an answer
                    self._answers.get_nowait()
                thread.join(0.01)
        for reader in self._readers:
            reader.close()

    def _work(self, reader: Reader | None) -> None:
        """Ask one process until there is nothing left to ask; another one where it dies."""
        try:
            while not self._closed:
                while (reader is None or len(reader.asked) < _ASKED) and (chunk := self._next()):
                    reader = reader or self._start()
                    with suppress(OSError):  # it has died, which `answer` will show
                        reader.ask(chunk)
                        continue
                    self._again.append(chunk)
                    break
                if reader is None or not (reader.asked or self._again):
                    return
                reader = self._hear(reader)
        except BaseException as error:
            if not self._closed:
                self._answers.put(error)

    def _hear(self, reader: Reader) -> Reader | None:
        """Pass on one answer; gives the process, or None where it died of the question."""
        if reader.asked:
            chunk, values = reader.answer()
            if values is not None:
                self._pass_on(chunk, [Facts(*one[:-1], Measures(*one[-1])) for one in values])
                return reader
            self._despair_of(chunk)
        self._again.extend(reader.asked)
        self._readers.remove(reader)
        reader.close()
        return None

    def _despair_of(self, chunk: list[str]) -> None:
        """The process died of one of these files: ask again one by one, to know of which."""
        if len(chunk) > 1:
            self._again.extend([path] for path in chunk)
        else:
            error = "Reading this file crashed the image decoder, or took more memory than there is."
            self._pass_on(chunk, [Facts(error=error)])

    def _pass_on(self, chunk: list[str], facts: list[Facts]) -> None:
        if self._unwanted.intersection(chunk):
            wanted = [place for place, path in enumerate(chunk) if path not in self._unwanted]
            chunk, facts = [chunk[place] for place in wanted], [facts[place] for place in wanted]
        self._answers.put((chunk, facts))

    def _next(self) -> list[str] | None:
        with self._choosing:
            return self._again.popleft() if self._again else next(self._chunks, None)

    def _start(self) -> Reader:
        reader = start_reader(self._root, self._thumbnails)
        self._readers.append(reader)
        return reader
