"""A study in a database: trials asked for, told and given back, by as many processes and machines as there are.

What all must agree on is in the study itself: the question, and of each trial who works on it and how it ended.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import optuna
import sqlalchemy.exc
from filelock import FileLock
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from core.errors import DarkroomError, InputError
from core.sweeps.draws import ByNumber, distributions, pruner
from core.sweeps.results import TrialRow
from core.sweeps.space import grid_size
from core.sweeps.spec import SweepSpec
from core.sweeps.store import URL, without_password

SPEC = "spec"  # the study's own copy of the question
START, RUN, HOME, HOST, WORKER, PAUSED = "start", "run", "home", "host", "worker", "paused"  # of a trial
END, REASON = "end", "reason"  # how a trial ended and why
DONE, IMPOSSIBLE, LOST = "done", "impossible", "lost"  # the last two leave the trial's place to another one
BEAT_S, SILENT_S = 10, 60  # a trial not heard of for that long was on a machine that is gone
MOST_REFILLS = 2  # of one trial's values
MOST_DRAWS = 200  # in a row that give nothing that can be trained
SETTLING_S = 20.0
TRIES = 4
SQLITE = "sqlite:///"

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
optuna.logging.set_verbosity(optuna.logging.ERROR)


class SharedStudy:
    """Optuna's study of one sweep."""

    def __init__(self, url: str, name: str, spec: SweepSpec) -> None:
        """Open it, or make it where there is none.

        Raises:
            DarkroomError: the database cannot be used. InputError: the name is taken by another question.
        """
        self.spec = spec
        # SQLite locks no rows, so two processes would take the same waiting trial; a file keeps them apart.
        place = url.partition("///")[2] if url.startswith(SQLITE) else ""
        self._alone: FileLock | nullcontext[None] = FileLock(f"{place}.lock") if place else nullcontext()
        with self._alone:
            self._storage = _storage(url)
        self._study = self._made(name) or self._loaded(name)
        self._id = self._storage.get_study_id_from_name(name)

    def _made(self, name: str) -> optuna.Study | None:
        spec, direction = self.spec, "maximize" if self.spec.maximise else "minimize"
        how: dict[str, Any] = {"sampler": ByNumber(spec), "pruner": pruner(spec), "direction": direction}
        try:
            study = optuna.create_study(storage=self._storage, study_name=name, **how)
        except optuna.exceptions.DuplicatedStudyError:
            return None
        self._settle(study)
        return study

    def _settle(self, study: optuna.Study) -> None:
        if self.spec.start is not None:
            with self._alone:
                study.enqueue_trial(self.spec.start, user_attrs={START: True}, skip_if_exists=True)
        study.set_user_attr(SPEC, self.spec.model_dump(mode="json"))  # last: with it the study is ready

    def _loaded(self, name: str) -> optuna.Study:
        spec = self.spec
        study = optuna.load_study(storage=self._storage, study_name=name, sampler=ByNumber(spec), pruner=pruner(spec))
        kept = _settled(study)
        if kept is None:  # its maker was killed in the middle
            self._settle(study)
        elif kept != spec:
            raise InputError(f"The study {name!r} in the database asks something else.", "Choose another name.")
        return study

    def trials(self) -> list[FrozenTrial]:
        """All of them as they are now, by number. Read them, do not change them."""
        return self._study.get_trials(deepcopy=False)

    def handle(self, trial: FrozenTrial) -> Trial:
        """To go on with a trial that another process asked for."""
        return Trial(self._study, self._trial_id(trial))

    def ask(self) -> Trial | None:
        """A new trial whose settings can be trained, or one that waits for somebody; None where a grid is through.

        Raises:
            DarkroomError: nothing that can be trained was drawn in many tries.
        """
        reason = ""
        for _ in range(MOST_DRAWS):
            if self._grid_is_through():
                return None
            with self._alone:
                trial = self._study.ask(fixed_distributions=distributions(self.spec.space))
            self.beat(trial)
            try:
                self.spec.config(trial.params)
                return trial
            except InputError as error:
                reason = error.message
            # Pruned without one epoch is the worst there is for TPE, which learns to keep away from there.
            self.end(trial, TrialState.PRUNED, IMPOSSIBLE, reason)
        raise DarkroomError(f"The values drawn do not go together with the other settings: {reason}")

    def _grid_is_through(self) -> bool:
        if self.spec.sampler != "grid":
            return False
        trials = self.trials()
        taken = {trial.system_attrs.get("grid_id") for trial in trials} - {None}
        return len(taken) >= grid_size(self.spec.space) and all(one.state != TrialState.WAITING for one in trials)

    def take_back(self, trial: Trial, budget: int) -> bool:
        """Let a trial wait where others, asked for at the same moment, fill the budget; returns whether it was so.

        Args:
            budget: trials, 0 for no limit.
        """
        before = sum(counts(one) for one in self.trials() if one.number < trial.number)
        if not budget or trial.user_attrs.get(START) or before < budget:
            return False
        self._storage.set_trial_state_values(self._trial_id(trial), state=TrialState.WAITING)
        return True

    def end(self, trial: Trial, state: TrialState, how: str, reason: str = "", value: float | None = None) -> bool:
        """Say how a trial ended; returns whether it was this process that did, and not another before it."""
        try:
            trial.set_user_attr(END, how)
            trial.set_user_attr(REASON, reason[:2000])
            values = None if value is None else [value]
            with self._alone:
                return self._storage.set_trial_state_values(self._trial_id(trial), state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False

    def give_up(self, trial: Trial, reason: str) -> None:
        """Mark a trial whose run was killed, and let its values be tried again by whoever comes first."""
        with self._alone:
            if self.end(trial, TrialState.FAIL, LOST, reason):
                _refill(self._study, next(one for one in self.trials() if one.number == trial.number))

    def beat(self, trial: Trial | FrozenTrial) -> None:
        """Let the others know that somebody is at work on it; at least every `BEAT_S`."""
        self._storage.record_heartbeat(self._trial_id(trial))

    def give_up_silent(self) -> None:
        """Mark and refill what was at work on machines that are not heard of any more."""
        with self._alone:
            fail_stale_trials(self._study)

    def rows(self) -> list[TrialRow]:
        """Every trial as a plain row, by number."""
        return [_row(trial, self.spec) for trial in self.trials()]

    def importance(self, rows: Sequence[TrialRow]) -> dict[str, float]:
        """How much of the spread among finished trials each setting explains (PED-ANOVA, arXiv 2304.10255)."""
        if sum(row.state == "finished" for row in rows) < 4:
            return {}
        try:
            shares = optuna.importance.get_param_importances(self._study)
        except (ValueError, RuntimeError):  # such as all scores being alike
            return {}
        return {path: float(share) for path, share in shares.items()}

    def _trial_id(self, trial: Trial | FrozenTrial) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)


def read_spec(url: str, name: str) -> SweepSpec | None:
    """The question of a study that another machine began; None where there is no such study."""
    storage = _storage(url)
    if name not in optuna.get_all_study_names(storage=storage):
        return None
    return _settled(optuna.load_study(storage=storage, study_name=name))


def counts(trial: FrozenTrial) -> bool:
    """Whether it is one of the budget's trials: not the start, nor one whose place was left to another."""
    if trial.user_attrs.get(START) or trial.state == TrialState.WAITING:
        return False
    how = trial.user_attrs.get(END)
    # A trial that was found silent has nobody's word on its end.
    left = how in (IMPOSSIBLE, LOST) or (trial.state == TrialState.FAIL and how is None)
    return not (trial.state.is_finished() and left)


def _refill(study: optuna.Study, trial: FrozenTrial) -> None:
    history = [*trial.system_attrs.get("retry_history", []), trial.number]
    if len(history) > MOST_REFILLS:
        return
    kept = {name: value for name, value in trial.system_attrs.items() if name in ("grid_id", "search_space")}
    study.add_trial(
        optuna.create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={START: True} if trial.user_attrs.get(START) else {},
            system_attrs={**kept, "retry_history": history, "fixed_params": trial.params},
        )
    )


def _settled(study: optuna.Study) -> SweepSpec | None:
    """The study's own copy of the question, waited for a while where it is only just being made."""
    deadline = time.monotonic() + SETTLING_S
    while (raw := study.user_attrs.get(SPEC)) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return None if raw is None else SweepSpec.model_validate(raw)


def _storage(url: str) -> RDBStorage:
    how: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith(SQLITE):
        how = {"connect_args": {"timeout": 60}}
    for left in reversed(range(TRIES)):
        try:
            return RDBStorage(
                url,
                engine_kwargs=how,
                heartbeat_interval=BEAT_S,
                grace_period=SILENT_S,
                heartbeat_stale_trial_callback=_refill,
            )
        except ImportError as error:
            raise InputError(
                f"There is no driver here for the database {without_password(url)}.",
                "For PostgreSQL: pip install 'psycopg[binary]', and write its URL as postgresql+psycopg://...",
            ) from error
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if not left:
                cause = str(error.__cause__ or error).strip().splitlines()[0]
                raise DarkroomError(
                    f"The database {without_password(url)} cannot be used ({cause}).", f"Check {URL} and the server."
                ) from error
            time.sleep(0.5)  # another process may just be making its tables
    raise AssertionError


_STATES: dict[TrialState, Any] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def _row(trial: FrozenTrial, spec: SweepSpec) -> TrialRow:
    curve = sorted(trial.intermediate_values.items())
    epoch, score = 0, None
    for at, value in curve:
        if score is None or spec.better(value, score):
            epoch, score = at, value
    silent = f"Not heard of for {SILENT_S} s." if trial.state == TrialState.FAIL else ""
    return TrialRow(
        number=trial.number,
        state=_STATES[trial.state],
        values=dict(trial.params),
        run=trial.user_attrs.get(RUN, ""),
        home=trial.user_attrs.get(HOME, ""),
        start=bool(trial.user_attrs.get(START)),
        score=score,
        epoch=epoch,
        curve=[[at, value] for at, value in curve],
        reason=trial.user_attrs.get(REASON, silent),
        counts=counts(trial),
        began=trial.datetime_start.timestamp() if trial.datetime_start else None,
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )
