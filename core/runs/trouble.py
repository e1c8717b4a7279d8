"""What went wrong with a run: which kind of trouble, in which words, what its log said last, and what to do."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psutil

from core.errors import DarkroomError, InputError
from core.files import read_json
from core.jobs import PROCESS, Status, how_it_ended
from core.processes import kills_for_memory
from core.runs.again import DIVERGED

if TYPE_CHECKING:
    from core.runs.store import Run

Kind = Literal["memory", "disk", "data", "weights", "settings", "diverged", "killed", "restarted", "fault"]
LAST_LINES = 8
_CRASHES = ("SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE")
_LINES_OF_MESSAGE = 5  # after a traceback; more, and the process went on after it
_RESUME = "Resume goes on from its last checkpoint."

# Errors by the names the worker notes.
_KINDS: dict[str, Kind] = {
    "MemoryTooSmall": "memory",
    "OutOfMemory": "memory",
    "OutOfMemoryError": "memory",
    "MemoryError": "memory",
    "DiskFull": "disk",
    "DataMoved": "data",
    "WeightsUnreachable": "weights",
    "InputError": "settings",
    DIVERGED: "diverged",
}
_TITLES: dict[Kind, str] = {
    "memory": "Out of memory",
    "disk": "Disk full",
    "data": "Data moved",
    "weights": "Weights unreachable",
    "settings": "Settings that do not work",
    "diverged": "Diverged",
    "killed": "Killed by the system",
    "restarted": "The machine restarted",
    "fault": "A fault",
}
_WHAT_TO_DO: dict[Kind, str] = {
    "memory": "Lower optim.batch_size or preprocess.image_size, or choose a smaller model.architecture, in a new run.",
    "disk": "Free some space, then resume.",
    "data": "Put the images back and resume, or add them again from where they are and start a new run.",
    "weights": "Make the file reachable and resume, or start a new run with other weights.",
    "settings": "Start a new run with the settings changed.",
    "diverged": "Lower optim.learning_rate in a new run.",
    "killed": _RESUME,
    "restarted": _RESUME,
    "fault": "The log says where it happened. Resume tries again from the last checkpoint.",
}


@dataclass(frozen=True)
class Trouble:
    """Why a run has no result.

    Attributes:
        kind: see `title` for its words.
        error: the class of the error, such as `DiskFull`, or the signal that ended it, such as `SIGKILL`; may be empty.
        message: what happened, a sentence or two.
        what_to_do: a sentence.
        last_lines: of its log, at most `LAST_LINES`.
    """

    kind: Kind
    error: str
    message: str
    what_to_do: str
    last_lines: tuple[str, ...]

    @property
    def title(self) -> str:
        """The kind in a few words: `Out of memory`."""
        return _TITLES[self.kind]


def trouble(run: Run, status: Status) -> Trouble | None:
    """What is wrong with the run; None with one that is at work, finished, or was stopped."""
    if status.state == "failed":
        return _failed(run, status)
    return _lost(run, status) if status.state == "lost" else None


def _failed(run: Run, status: Status) -> Trouble:
    error, fix = str(status.extra.get("error", "")), str(status.extra.get("fix", ""))
    wrong_input = status.extra.get("exit_status") == InputError.exit_status
    kind = _KINDS.get(error, "settings" if wrong_input else "fault")
    message = status.message.removesuffix(fix).strip() if fix else status.message
    return Trouble(kind, error, message, fix or _WHAT_TO_DO[kind], _last_lines(run))


def _lost(run: Run, status: Status) -> Trouble:
    """From what the system says of the end of a process that could not say anything itself."""
    lines, ended_as = _last_lines(run), how_it_ended(run.folder)
    if error := _exception(run):
        words = f"{status.message} It broke off with {error}."
        return Trouble("fault", error, words, _WHAT_TO_DO["fault"], lines)
    if status.heartbeat and psutil.boot_time() > status.heartbeat:
        words = "The machine was restarted while it was at work."
        return Trouble("restarted", "", words, _what_then(run, status), lines)
    name = signal.Signals(-ended_as).name if ended_as is not None and ended_as < 0 else ""
    if name in _CRASHES:
        words = f"Its process crashed ({name}): a fault in a library, or of the machine's memory."
        return Trouble("fault", name, words, _WHAT_TO_DO["fault"], lines)
    if name in ("", "SIGKILL") and _memory_ran_out(run):
        words = f"{status.message} The system has since killed a process because memory ran out: likely this one."
        return Trouble("memory", name, words, _WHAT_TO_DO["memory"], lines)
    words = f"Its process was ended from outside by {name}." if name else status.message
    return Trouble("killed", name, words, _what_then(run, status), lines)


def _what_then(run: Run, status: Status) -> str:
    if not status.phase and not run.metrics():
        return "Its turn had not come. Resume puts it back into the queue."
    return _RESUME


def _memory_ran_out(run: Run) -> bool:
    try:
        before = (read_json(run.folder / PROCESS) or {}).get("kills_for_memory")
    except (DarkroomError, AttributeError):
        return False
    now = kills_for_memory()
    return before is not None and now is not None and now > before


def _exception(run: Run) -> str:
    """The class of the exception that the log ends with, empty where it does not."""
    _, found, after = run.log_tail().rpartition("Traceback (most recent call last):\n")
    words = [line for line in after.splitlines() if not line.startswith(" ")]
    match = re.match(r"([A-Za-z_][\w.]*)(:|$)", words[0]) if found and 1 <= len(words) <= _LINES_OF_MESSAGE else None
    return match[1].rsplit(".", 1)[-1] if match else ""


def _last_lines(run: Run) -> tuple[str, ...]:
    return tuple(line for line in run.log_tail().splitlines() if line.strip())[-LAST_LINES:]
