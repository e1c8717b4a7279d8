"""Where a model looks in one image that somebody brings, now: asked of a helper process, as torch does not belong here.

The helper (`core.evaluation.explainer_helper`) is started by the first question, answers one at a time, ends by itself
when nothing has been asked for a while, and at once when this process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import asdict, dataclass
from typing import IO, Any

from core.errors import DarkroomError, ImageReadError, InputError
from core.evaluation.saliency_checks import Scores
from core.files import tail_text
from core.runs.store import Run
from core.workspace import REPOSITORY, Workspace

IDLE_S = 120.0  # without a question, after which the helper gives back its memory
PROGRAM = "core.evaluation.explainer_helper"
_LOG = "explainer.log"
_FAULTS = {kind.__name__: kind for kind in (DarkroomError, InputError, ImageReadError)}


@dataclass(frozen=True)
class ExplainedImage:
    """The map of one image.

    Attributes:
        label: the class whose map it is.
        confidence: the calibrated probability of that class, 0..1.
        picture: a JPEG, the image as the network saw it under its map; all in grey where the map is not to be believed.
        fault: why it cannot be believed, as a sentence; empty where it passed.
        way: the layers it is made from, in words.
        scores: how hiding and showing what it marks moved the answer; `likeness` is not measured for a single image.
    """

    label: str
    confidence: float
    picture: bytes
    fault: str
    way: str
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without the picture."""
        return {name: value for name, value in asdict(self).items() if name != "picture"}


def explain_image(run: Run, data: bytes, label: str | None = None, timeout_s: float = 60.0) -> ExplainedImage:
    """Where the run's model looks in this image; takes a second or a few, and some more for the first question.

    Args:
        data: the image file's bytes.
        label: the class to explain; by default the likeliest.
        timeout_s: from now, those asked before included.

    Raises:
        ImageReadError: the bytes are not a whole image.
        InputError: the model does not know the class.
        DarkroomError: there is no model, or no answer in time.
    """
    asked = explain_later(run, data, label)
    try:
        return asked.result(timeout_s)
    except TookTooLong as late:
        if not asked.cancel():  # it is being answered: the helper may hang, and others wait for it
            close_explainer()
        raise DarkroomError(f"There was no map within {timeout_s:g} s.", "Ask again when less is at work.") from late


def explain_later(run: Run, data: bytes, label: str | None = None) -> Future[ExplainedImage]:
    """The same without waiting: a future of it, which raises as `explain_image` does but for the time."""
    return _HELPER.ask({"run": str(run.folder), "label": label}, data)


def close_explainer() -> None:
    """End the helper, whatever it is doing; the next question starts another."""
    _HELPER.close()


class _Helper:
    """The helper process, and the thread that talks to it."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[Future[ExplainedImage], dict[str, Any], bytes]] = queue.Queue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._times_closed = 0

    def ask(self, question: dict[str, Any], data: bytes) -> Future[ExplainedImage]:
        asked: Future[ExplainedImage] = Future()
        self._waiting.put((asked, question, data))
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._answer_all, name="explainer", daemon=True)
                self._thread.start()
        return asked

    def close(self) -> None:
        self._times_closed += 1
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _answer_all(self) -> None:
        while True:
            asked, question, data = self._waiting.get()
            if not asked.set_running_or_notify_cancel():
                continue
            try:
                asked.set_result(self._answer(question, data))
            except Exception as error:  # it belongs to who asked; the thread goes on
                asked.set_exception(error)

    def _answer(self, question: dict[str, Any], data: bytes) -> ExplainedImage:
        is_new = self._process is None or self._process.poll() is not None
        times_closed = self._times_closed
        answer = self._exchange(question, data)
        if answer is None and not is_new and times_closed == self._times_closed:  # it had ended for want of questions
            answer = self._exchange(question, data)
        if answer is None:
            log = Workspace.default().cache / _LOG
            last = (tail_text(log).strip().splitlines() or ["killed"])[-1]
            raise DarkroomError(f"The process that makes maps ended without a word: {last}", f"See {log}.")
        found, picture = answer
        if kind := found.get("error"):
            raise _FAULTS[kind](found["message"], found["fix"])
        return ExplainedImage(picture=picture, **{**found, "scores": Scores(**found["scores"])})

    def _exchange(self, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes] | None:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        assert process.stdin is not None and process.stdout is not None
        try:
            write_frame(process.stdin, question, data)
            answer = read_frame(process.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            process.kill()  # it may be at its end and not quite there
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        return answer


def _start() -> subprocess.Popen[bytes]:
    workspace = Workspace.default()
    with open(workspace.cache / _LOG, "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", PROGRAM, str(IDLE_S)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the server, whose end ends this too
            env={**os.environ, **workspace.environment},
        )


def write_frame(stream: IO[bytes], header: dict[str, Any], data: bytes) -> None:
    """Send plain values and some bytes to the process at the other end."""
    stream.write(json.dumps(header | {"num_bytes": len(data)}).encode() + b"\n")
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """What `write_frame` sent; None where the other end is gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    num_bytes = header.pop("num_bytes")
    data = stream.read(num_bytes)
    return (header, data) if len(data) == num_bytes else None


_HELPER = _Helper()
