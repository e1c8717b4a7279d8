"""One trial under way: an ordinary run, whose epochs Optuna is told of until one of them has enough."""

from __future__ import annotations

import math
import time

from optuna.trial import Trial, TrialState

from core.errors import DarkroomError, InputError
from core.runs.launch import FINISHING, resume_run, stop_run
from core.runs.store import Run
from core.sweeps.study import BEAT_S, DONE, PAUSED, START, SharedStudy


class Seat:
    """A trial this process follows."""

    def __init__(self, study: SharedStudy, trial: Trial, run: Run) -> None:
        self.trial = trial
        self.run = run
        self._study = study
        self._spec = study.spec
        self._epochs = run.config.optim.epochs
        self._is_start = bool(trial.user_attrs.get(START))
        # What is noted already, where this process took the trial over.
        self._scores = dict(next(one for one in study.trials() if one.number == trial.number).intermediate_values)
        self._told = False
        self._beaten = 0.0

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.trial.number

    def look(self) -> bool:
        """Tell of new epochs and of the end, and prune; returns whether the run is over and told."""
        status = self.run.status
        if not self._told:
            self._beat()
            self._tell_epochs(may_prune=not status.ended and status.phase not in FINISHING)
        if status.ended and not self._told:
            self._tell_end(status.state, status.message)
        return status.ended

    def pause(self) -> None:
        """Stop the run in such a way that whoever goes on with the sweep goes on with it."""
        if not self._told and not self.run.status.ended:
            self.trial.set_user_attr(PAUSED, True)
            stop_run(self.run, "Its sweep was stopped.")

    def paused(self) -> bool:
        """Whether the run of a sweep that is being stopped has ended; one that got to its end is told."""
        status = self.run.status
        if not status.ended:
            return False
        if status.state != "stopped" and not self._told:
            self.look()
        return True

    def go_on(self) -> None:
        """Resume the run where the sweep was stopped and not the run itself."""
        if self.trial.user_attrs.get(PAUSED):
            self.trial.set_user_attr(PAUSED, False)
            if self.run.status.state == "stopped":
                resume_run(self.run)

    def _beat(self) -> None:
        if time.monotonic() - self._beaten > BEAT_S / 2:
            self._beaten = time.monotonic()
            self._study.beat(self.trial)

    def _tell_epochs(self, may_prune: bool) -> None:
        for row in self.run.metrics():
            epoch, value = int(row["epoch"]), row.get(self._spec.metric)
            if epoch in self._scores or value is None or not math.isfinite(value):
                continue
            self._scores[epoch] = value
            self.trial.report(value, epoch)
            # At its last epoch a run is as good as finished; the start is what all are compared with.
            if may_prune and not self._is_start and epoch < self._epochs and self.trial.should_prune():
                self._prune(epoch, value)
                return

    def _prune(self, epoch: int, value: float) -> None:
        reason = f"Pruned after epoch {epoch}: {self._spec.shown(value)} was worse than other trials had by then."
        self._told = True
        if self._study.end(self.trial, TrialState.PRUNED, DONE, reason):
            stop_run(self.run, reason)

    def _tell_end(self, state: str, message: str) -> None:
        self._told = True
        best = (max if self._spec.maximise else min)(self._scores.values(), default=None)
        if state == "finished" and best is not None:
            self._study.end(self.trial, TrialState.COMPLETE, DONE, value=best)
        elif state == "stopped":
            self._study.end(self.trial, TrialState.PRUNED, DONE, f"Its run was stopped by hand. {message}")
        elif state == "lost":
            self._study.give_up(self.trial, message)
        else:
            self._study.end(self.trial, TrialState.FAIL, DONE, message)


def seat_of(study: SharedStudy, trial: Trial, run: Run) -> Seat | None:
    """A seat for a trial another process began; None where its run cannot be gone on with, which is told."""
    try:
        seat = Seat(study, trial, run)
        seat.go_on()
    except (DarkroomError, InputError) as error:
        study.give_up(trial, str(error))
        return None
    return seat
