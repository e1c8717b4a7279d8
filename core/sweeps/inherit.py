"""Trials of processes that are gone, taken over: their runs may still be at work, or have ended since."""

from __future__ import annotations

import socket

from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from core import jobs
from core.runs.about import read_about
from core.runs.store import Run, list_runs
from core.sweeps.seat import Seat, seat_of
from core.sweeps.store import WORKERS, Sweep
from core.sweeps.study import HOME, HOST, RUN, WORKER, SharedStudy
from core.workspace import Workspace


def trial_tag(number: int) -> str:
    """The tag that tells which trial a run is."""
    return f"trial:{number}"


def inherit(sweep: Sweep, study: SharedStudy, workspace: Workspace, me: str, mine: set[int]) -> list[Seat]:
    """Seats for the trials that were begun in this workspace by processes that are gone.

    Trials without a run, and those whose run cannot be gone on with, are marked and their places refilled.

    Args:
        me: the name of this process's folder.
        mine: numbers of the trials this process follows already.
    """
    seats = []
    with FileLock(sweep.folder / ".inherit.lock"):
        for trial in study.trials():
            if trial.state != TrialState.RUNNING or trial.number in mine or not _is_orphan(sweep, trial, workspace, me):
                continue
            handle = study.handle(trial)
            handle.set_user_attr(WORKER, me)
            study.beat(trial)
            run = _run_of(sweep, trial, workspace)
            if run is None:
                study.give_up(handle, "Its sweep was killed before the run was started, or the run was deleted.")
            elif seat := seat_of(study, handle, run):
                seats.append(seat)
    return seats


def _is_orphan(sweep: Sweep, trial: FrozenTrial, workspace: Workspace, me: str) -> bool:
    attributes = trial.user_attrs
    if (attributes.get(HOME), attributes.get(HOST)) != (str(workspace.root), socket.gethostname()):
        return False  # another machine's: whether it lives only its heartbeat tells
    worker = str(attributes.get(WORKER))
    return worker == me or jobs.read_status(sweep.folder / WORKERS / worker).ended


def _run_of(sweep: Sweep, trial: FrozenTrial, workspace: Workspace) -> Run | None:
    wanted = {sweep.tag, trial_tag(trial.number)}
    known = trial.user_attrs.get(RUN)
    for run in list_runs(workspace):
        # By its tags: a process may be killed after it started the run and before it noted which it is.
        if run.id == known or (known is None and wanted <= set(read_about(run).tags)):
            return run
    return None
