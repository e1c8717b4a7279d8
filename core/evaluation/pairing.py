"""Two runs brought together on the same test images, where that can be done, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from core.evaluation.again_on import answered
from core.evaluation.same_test import answers_of, pair_up, why_not_the_same
from core.runs.store import Run
from core.wording import count


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

    Where images were corrected or excluded between the runs, and the rest kept its side of the split, they are
    compared on the test images both have, by the labels of the run started later.

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
    if versions := _versions(a, b, of_a, of_b, why_not):
        return versions
    if found := answered(b, a):
        rows, again = found
        return Pairing(pair_up(of_a, rows), a.id, why_not, f"{b.id} tested again: {again.sentence()}.")
    if found := answered(a, b):
        rows, again = found
        return Pairing(pair_up(rows, of_b), b.id, why_not, f"{a.id} tested again: {again.sentence()}.")
    return Pairing(nothing, a.id, why_not)


def _versions(a: Run, b: Run, of_a: pd.DataFrame, of_b: pd.DataFrame, why_not: str) -> Pairing | None:
    """Two runs of one division whose images were corrected in between; None where they are not that.

    They are not where one has learned from, or chosen its best epoch by, a test image of the other.
    """
    both = of_a.merge(of_b, on=["path", "content_hash"], suffixes=("_a", "_b"))
    alone = [rows[~rows["path"].isin(both["path"])] for rows in (of_a, of_b)]
    if both.empty or any(
        _learned(run, rows["content_hash"]) for run, rows in ((b, alone[0]), (a, alone[1])) if len(rows)
    ):
        return None
    later, side = (b, "b") if b.created >= a.created else (a, "a")
    said = []
    if corrected := int((both["label_a"] != both["label_b"]).sum()):
        said.append(
            f"{count(corrected, 'test image')} relabelled between the two runs, both judged by the label the later one "
            "had. Where only one run's mistakes were looked at, corrected labels favour that run"
        )
    if left := sum(map(len, alone)):
        said.append(f"{count(left, 'test image')} left out, as only one of the runs had them")
    rows = both.rename(columns={f"label_{side}": "label"})
    columns = ["path", "content_hash", "label", "predicted_a", "predicted_b", "confidence_a", "confidence_b"]
    note = f"Compared on the {count(len(both), 'test image')} both have: {'. '.join(said)}."
    return Pairing(rows[columns], later.id, why_not, note)


def _learned(run: Run, hashes: pd.Series) -> bool:
    """Whether any of these images is one the run was trained or validated on."""
    manifest = run.manifest()
    return bool(hashes.isin(manifest.loc[manifest["split"].isin(["train", "val"]), "content_hash"]).any())
