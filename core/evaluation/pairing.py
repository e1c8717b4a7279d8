"""Two runs brought together on the same test images, where that can be done, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from core.evaluation.again_on import answered
from core.evaluation.same_test import answers_of, pair_up, why_not_the_same
from core.runs.store import Run


@dataclass(frozen=True)
class Pairing:
    """Runs A and B side by side.

    Attributes:
        rows: one test image a row, see `same_test.pair_up`; empty where they cannot be compared.
        tested: whose test images these are, A's or B's id.
        why_not: why they cannot be compared as they are, to stand after a colon; empty where they can.
        note: what was left out, where one was tested again on the other's images; else empty.
    """

    rows: pd.DataFrame
    tested: str
    why_not: str = ""
    note: str = ""

    @property
    def is_possible(self) -> bool:
        return not self.rows.empty


def pair_runs(a: Run, b: Run, read: Callable[[Run], pd.DataFrame | None] = answers_of) -> Pairing:
    """A and B on the images both were tested on, or on the test images of one that the other was tested on again.

    Args:
        read: `answers_of`, or what remembers its results.

    Raises:
        DarkroomError: a file of one of the runs is damaged.
    """
    of_a, of_b = read(a), read(b)
    nothing = pd.DataFrame()
    for run, answers in ((a, of_a), (b, of_b)):
        if answers is None:
            return Pairing(nothing, run.id, f"run {run.id} has not been tested yet.")
    why_not = why_not_the_same(of_a, of_b)
    if not why_not:
        return Pairing(pair_up(of_a, of_b), a.id)
    if found := answered(b, a):
        rows, again = found
        return Pairing(pair_up(of_a, rows), a.id, why_not, f"{b.id} tested again: {again.sentence()}.")
    if found := answered(a, b):
        rows, again = found
        return Pairing(pair_up(rows, of_b), b.id, why_not, f"{a.id} tested again: {again.sentence()}.")
    return Pairing(nothing, a.id, why_not)
