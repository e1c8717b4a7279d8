"""What became of a sweep's trials, as plain rows and tables; nothing here needs optuna."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pandas as pd

from core.sweeps.spec import SweepSpec

TrialState = Literal["waiting", "running", "finished", "pruned", "failed"]
STATES: tuple[TrialState, ...] = ("running", "waiting", "finished", "pruned", "failed")


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        number: from 0, in the order they were drawn.
        values: what the space's settings were, `{"group.field": value}`.
        run: the id of its run, empty where none was started; `home` is the workspace that has it.
        start: whether it is the settings the sweep started from.
        score: the metric at its best epoch so far, None before the first epoch.
        epoch: that epoch, 0 before the first.
        curve: [epoch, metric] of each epoch.
        reason: why it was pruned or failed, as a sentence.
        counts: whether it is one of the budget's trials.
        began, ended: seconds since the epoch, None where it has not.
    """

    number: int
    state: TrialState
    values: dict[str, Any]
    run: str = ""
    home: str = ""
    start: bool = False
    score: float | None = None
    epoch: int = 0
    curve: list[list[float]] = field(default_factory=list)
    reason: str = ""
    counts: bool = True
    began: float | None = None
    ended: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ("finished", "pruned", "failed")


def row_from(raw: dict[str, Any]) -> TrialRow:
    """The row as it was stored; what a later version of Darkroom added is left out."""
    known = {one.name for one in fields(TrialRow)}
    return TrialRow(**{name: value for name, value in raw.items() if name in known})


def num_done(rows: Sequence[TrialRow]) -> int:
    """Trials of the budget that are over."""
    return sum(row.over and row.counts for row in rows)


def best_row(spec: SweepSpec, rows: Sequence[TrialRow]) -> TrialRow | None:
    """The finished trial of the best score, the earlier of two alike; None while none has finished."""
    done = [row for row in rows if row.state == "finished" and row.score is not None]
    sign = -1.0 if spec.maximise else 1.0
    return min(done, key=lambda row: (sign * (row.score or 0.0), row.number), default=None)


def start_row(rows: Sequence[TrialRow]) -> TrialRow | None:
    """The finished trial of the settings that the sweep started from; None where there is none (yet)."""
    return next((row for row in rows if row.start and row.state == "finished" and row.score is not None), None)


def trial_table(spec: SweepSpec, rows: Sequence[TrialRow]) -> pd.DataFrame:
    """One row a trial: trial, state, start, score, best_score (of all finished up to it), epoch, epochs, seconds, run,
    reason, and a column a setting of the space."""
    table = []
    best: float | None = None
    for row in sorted(rows, key=lambda one: one.number):
        if row.state == "finished" and row.score is not None and (best is None or spec.better(row.score, best)):
            best = row.score
        seconds = row.ended - row.began if row.ended is not None and row.began is not None else None
        table.append(
            {
                "trial": row.number,
                "state": row.state,
                "start": row.start,
                "score": row.score,
                "best_score": best,
                "epoch": row.epoch,
                "epochs": len(row.curve),
                "seconds": seconds,
                "run": row.run,
                "reason": row.reason,
                **{path: row.values.get(path) for path in spec.space},
            }
        )
    columns = ["trial", "state", "start", "score", "best_score", "epoch", "epochs", "seconds", "run", "reason"]
    return pd.DataFrame(table, columns=[*columns, *spec.space]).astype(
        {"score": "float64", "best_score": "float64", "seconds": "float64"}
    )
