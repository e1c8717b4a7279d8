"""Program: one process at work on a sweep. `python -m core.sweeps.work WORKER_FOLDER`

It keeps the agreed number of trials under way until the budget is spent, and writes down what became of them. Several
may work on one study. Killed, it loses nothing: the runs go on, and whoever works on the sweep next takes them over.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from pathlib import Path

from core import jobs
from core.errors import DarkroomError
from core.files import read_json, write_json
from core.runs.launch import start_run
from core.sweeps.inherit import inherit, trial_tag
from core.sweeps.results import TrialRow, best_row, num_done
from core.sweeps.seat import Seat
from core.sweeps.store import Sweep, storage_url, write_trials
from core.sweeps.study import HOME, HOST, RUN, WORKER, SharedStudy, counts
from core.wording import count, significant
from core.workspace import Workspace

WORKED = "worked.json"
LOOK_S = 0.4
CARE_S = 5.0  # between two looks for trials of processes that are gone
FAILURES = 3  # at the beginning, with nothing finished: something is wrong with the settings all share


class Stopped(Exception):
    """The sweep was asked to stop."""


class _Work:
    """What one process knows of its sweep."""

    def __init__(self, folder: Path, status: jobs.StatusWriter) -> None:
        self.folder = folder
        self.status = status
        self.sweep = Sweep(folder.parent.parent.name, folder.parent.parent)
        self.workspace = Workspace.default()
        self.spec = self.sweep.spec
        self.study = SharedStudy(storage_url(self.sweep), self.sweep.id, self.spec)
        self.seats: list[Seat] = []
        self.manifest, self.data = self.sweep.manifest(), self.sweep.data()
        self.earlier_s = float((read_json(folder / WORKED) or {}).get("seconds", 0.0))
        self.began, self.cared, self.written = time.monotonic(), 0.0, list[TrialRow]()
        self.importance: dict[str, float] = {}
        self.through = False  # a grid has nothing left

    def go(self) -> str:
        """Work until the budget is spent; gives the message of success."""
        pause = threading.Event()
        while True:
            self._care()
            self.seats = [seat for seat in self.seats if not seat.look()]
            if self.status.stop_requested:
                self._stop()
            self._fill()
            rows = self._write()
            _require_some_success(rows)
            if not self.seats and self._is_spent() and not any(row.state == "running" for row in rows):
                return self._summary(rows)
            pause.wait(LOOK_S)

    def _care(self) -> None:
        """Take over or mark what others left behind."""
        if time.monotonic() - self.cared < CARE_S and self.cared:
            return
        self.cared = time.monotonic()
        mine = {seat.number for seat in self.seats}
        self.seats += inherit(self.sweep, self.study, self.workspace, self.folder.name, mine)
        self.study.give_up_silent()
        write_json(self.folder / WORKED, {"seconds": self._worked_s()}, durable=False)

    def _worked_s(self) -> float:
        return self.earlier_s + time.monotonic() - self.began

    def _is_spent(self) -> bool:
        budget = self.sweep.budget
        if self.through or (budget.minutes and self._worked_s() >= 60 * budget.minutes):
            return True
        trials = self.study.trials()
        if any(one.state.name == "WAITING" and one.user_attrs.get("start") for one in trials):
            return False
        return bool(budget.trials) and sum(map(counts, trials)) >= budget.trials

    def _fill(self) -> None:
        """Begin trials while there is room and budget."""
        while len(self.seats) < self.sweep.budget.at_once and not self._is_spent():
            trial = self.study.ask()
            if trial is None:
                self.through = True
                return
            if self.study.take_back(trial, self.sweep.budget.trials):
                return
            # Who works on it stands there before anything is started: another process would look for it.
            trial.set_user_attr(WORKER, self.folder.name)  # before those that let others ask whether it lives
            trial.set_user_attr(HOST, socket.gethostname())
            trial.set_user_attr(HOME, str(self.workspace.root))
            tags = (self.sweep.tag, trial_tag(trial.number))
            config = self.spec.config(trial.params)
            run = start_run(self.workspace, config, self.manifest, self.data, tags=tags)
            trial.set_user_attr(RUN, run.id)
            self.seats.append(Seat(self.study, trial, run))
            print(f"{time.strftime('%H:%M:%S')} Trial {trial.number}: {run.id}, {_listed(trial.params)}", flush=True)

    def _write(self) -> list[TrialRow]:
        """Write what became of the trials where anything changed."""
        rows = self.study.rows()
        if rows != self.written:
            before = sum(row.state == "finished" for row in self.written)
            if sum(row.state == "finished" for row in rows) != before:
                self.importance = self.study.importance(rows)
            for row in rows:
                was = next((one for one in self.written if one.number == row.number), None)
                if row.over and (was is None or not was.over) and self.written:
                    print(f"{time.strftime('%H:%M:%S')} Trial {row.number} {row.state}. {row.reason}", flush=True)
            write_trials(self.sweep, rows, self.importance)
            self.written = rows
            total = self.sweep.budget.trials
            self.status.progress(num_done(rows), total, unit="trials", message=self._summary(rows), phase="searching")
        return rows

    def _summary(self, rows: list[TrialRow]) -> str:
        best = best_row(self.spec, rows)
        done = count(num_done(rows), "trial")
        if best is None or best.score is None:
            return f"{done} done."
        which = "the settings it started from" if best.start else f"trial {best.number}"
        return f"{done} done; the best so far is {which} with {self.spec.shown(best.score)}."

    def _stop(self) -> None:
        """Stop the runs under way, so that they go on when the sweep does."""
        self.status.update(message="Stopping the runs under way.", state="stopping")
        for seat in self.seats:
            seat.pause()
        pause = threading.Event()
        while not all([seat.paused() for seat in self.seats]):
            pause.wait(LOOK_S)
        rows = self._write()
        write_json(self.folder / WORKED, {"seconds": self._worked_s()}, durable=False)
        raise Stopped(f"Stopped. {self._summary(rows)} It can go on from here.")


def _require_some_success(rows: list[TrialRow]) -> None:
    over = [row for row in rows if row.over and row.reason]
    failed = [row for row in over if row.state == "failed"]
    if len(failed) >= FAILURES and not any(row.state == "finished" or row.curve for row in rows):
        raise DarkroomError(f"The first {len(failed)} trials failed, the last because: {failed[-1].reason}")


def _listed(values: dict[str, object]) -> str:
    return ", ".join(
        f"{path} = {significant(value) if isinstance(value, float) else value}" for path, value in values.items()
    )


def main(folder: Path) -> int:
    """Work on the sweep that the folder is in. Returns the exit status."""
    # SIGTERM (a service manager, a shutdown) means the same as the Stop button.
    signal.signal(signal.SIGTERM, lambda *_: (folder / jobs.STOP).touch())
    return jobs.carry_out(folder, lambda status: _Work(folder, status).go(), (Stopped,), "The sweep")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
