"""Whether the best trial is better than the settings the sweep started from, said with what the test images show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import DarkroomError
from core.evaluation.comparison import compare
from core.evaluation.pairing import pair_runs
from core.evaluation.verdict import verdict as compared
from core.runs.store import open_run
from core.sweeps.results import TrialRow, best_row, start_row
from core.sweeps.spec import SweepSpec
from core.workspace import Workspace


@dataclass(frozen=True)
class Verdict:
    """The best trial against the start.

    Attributes:
        start: None where it is not among the trials or has not finished.
        best_test, start_test: accuracy on the test images (0..1), None where the run is not evaluated here.
        sentence: all of it in words.
    """

    best: TrialRow
    start: TrialRow | None
    best_test: float | None
    start_test: float | None
    sentence: str


def verdict(workspace: Workspace, spec: SweepSpec, rows: Sequence[TrialRow]) -> Verdict | None:
    """None while no trial has finished.

    The best of many validation scores flatters, as it was chosen by them; no choice was made by the test images.
    """
    best, start = best_row(spec, rows), start_row(rows)
    if best is None:
        return None
    best_test = _test_accuracy(workspace, best)
    if start is None:
        return Verdict(best, None, best_test, None, f"{_named(spec, best)} {_without_start(spec, rows)}")
    if best.number == start.number:
        return Verdict(
            best, start, best_test, best_test, "No trial was better than the settings the sweep started from."
        )
    start_test = _test_accuracy(workspace, start)
    sentence = f"{_named(spec, best)} The settings it started from have {spec.shown(start.score)}. "
    return Verdict(best, start, best_test, start_test, (sentence + _on_test(workspace, start, best)).strip())


def _named(spec: SweepSpec, best: TrialRow) -> str:
    return f"Trial {best.number} is best, with {spec.shown(best.score)}."


def _without_start(spec: SweepSpec, rows: Sequence[TrialRow]) -> str:
    if spec.start is None:
        return "The settings it started from are outside of what was searched, so they were not tried."
    if any(row.start and not row.over for row in rows):
        return "The settings it started from have not finished yet."
    return "The settings it started from did not finish."


def _on_test(workspace: Workspace, start: TrialRow, best: TrialRow) -> str:
    """What the test images say, which no choice was made by; empty where they say nothing here."""
    try:
        pairing = pair_runs(open_run(workspace, start.run), open_run(workspace, best.run))
    except DarkroomError:  # on another machine, deleted, or damaged
        return ""
    if not pairing.is_possible:
        return ""
    words = compared(compare(pairing.rows), "the start", f"trial {best.number}")
    return f"On the test images, which no choice was made by: {words[:1].lower()}{words[1:]}"


def _test_accuracy(workspace: Workspace, row: TrialRow) -> float | None:
    try:
        report = open_run(workspace, row.run).report() if row.run else None
    except DarkroomError:
        return None
    return None if report is None else report.get("test_accuracy")
