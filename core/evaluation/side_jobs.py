"""Slow looks at a trained model, each a process of its own that pages start, watch and cancel; none needs torch here.

The job works in a folder of the run's, so that deleting the run deletes it too, and leaves its answer in the run's own
folder. An answer is of one model: where the run was trained on since, it counts as not there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import jobs
from core.errors import DarkroomError
from core.files import read_json, write_json
from core.inference.bundle import WEIGHTS, read_bundle
from core.runs.store import Run
from core.workspace import Workspace

FOLDER = "jobs"
_REQUEST = "request.json"
_TURN_S = 0.5


class Cancelled(Exception):
    """Somebody asked the job to end."""


@dataclass(frozen=True)
class SideJob:
    """One kind of slow look.

    Attributes:
        name: of its folder in the run's `jobs`, and of its answer, `<name>.json`.
        program: run as `python -m program RUN_FOLDER`.
        what: begins the message of a failure nobody foresaw.
        arguments: more of the program's command line, where several jobs share it.
    """

    name: str
    program: str
    what: str
    arguments: tuple[str, ...] = ()

    def ask(self, run: Run, **request: Any) -> None:
        """Start the job, unless it is at work.

        Args:
            request: what the program gets to know besides the run; plain values.

        Raises:
            DarkroomError: the run has no model yet.
        """
        read_bundle(run.bundle)
        folder = self.folder(run)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{self.name}.lock"):  # two tabs may ask in the same instant
            status = self.progress(run)
            if status is not None and (not status.ended or jobs.is_at_work(folder)):
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_json(folder / _REQUEST, request)
            jobs.prepare(folder, "Starting.")
            jobs.launch(folder, self.program, str(run.folder), *self.arguments)

    def progress(self, run: Run) -> jobs.Status | None:
        """How far the job is or how it ended; None where none was started."""
        return jobs.progress_in(self.folder(run))

    def cancel(self, run: Run) -> None:
        """Ask the job to end; an earlier answer stays."""
        jobs.cancel_in(self.folder(run))

    def answer(self, run: Run) -> dict[str, Any] | None:
        """What the last finished job found; None where there is none, or the run has another model since."""
        kept = read_json(run.folder / f"{self.name}.json")
        return None if kept is None or kept.get("model") != model_stamp(run) else kept

    def folder(self, run: Run) -> Path:
        """Where the job is; it may not exist yet."""
        return run.folder / FOLDER / self.name

    def carry_out(
        self, run: Run, work: Callable[[jobs.StatusWriter, dict[str, Any]], tuple[str, dict[str, Any]]]
    ) -> int:
        """In the program: wait until no other such job is at work, do it and keep the answer; gives the exit status.

        Args:
            work: from the status and the request to a closing sentence and the answer, plain values. Raises
                `Cancelled` when the status says so.
        """

        def in_turn(status: jobs.StatusWriter) -> str:
            status.update(phase="waiting", message="Waiting for another look at a model to end.")
            turn = FileLock(Workspace.default().cache / "side-jobs.lock", poll_interval=_TURN_S)
            try:
                held = turn.acquire(cancel_check=lambda: status.stop_requested)
            except Timeout as cancelled:
                raise Cancelled("Cancelled.") from cancelled
            with held:
                model = model_stamp(run)
                said, found = work(status, read_json(self.folder(run) / _REQUEST) or {})
                write_json(run.folder / f"{self.name}.json", {**found, "model": model})
                return said

        return jobs.carry_out(self.folder(run), in_turn, (Cancelled,), self.what)


def start_in(folder: Path, result: str, program: str, *arguments: str) -> None:
    """Start `python -m program arguments...` as the job of that folder, unless it is at work.

    Args:
        result: the file with the last answer, which is forgotten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / ".asking.lock"):  # two tabs may ask in the same instant
        status = jobs.progress_in(folder)
        if status is not None and not status.ended:
            return
        (folder / result).unlink(missing_ok=True)
        (folder / jobs.LOG).unlink(missing_ok=True)
        jobs.prepare(folder)
        jobs.launch(folder, program, *arguments)


def meter(status: jobs.StatusWriter, unit: str = "images") -> Callable[[int, int], None]:
    """A progress callback (done, in all) that raises `Cancelled` where the job was asked to end."""
    began = time.monotonic()

    def note(done: int, total: int) -> None:
        if status.stop_requested:
            raise Cancelled("Cancelled.")
        rate = done / max(1e-9, time.monotonic() - began)
        status.progress(done, total, unit=unit, rate=rate, eta_s=(total - done) / max(1e-9, rate))

    return note


def model_stamp(run: Run) -> str | int:
    """Changes when the run's weights do; not when a threshold is chosen, and not when the folder is copied."""
    try:
        return read_bundle(run.bundle).weights_hash or (run.bundle / WEIGHTS).stat().st_mtime_ns
    except (DarkroomError, FileNotFoundError):
        return 0
