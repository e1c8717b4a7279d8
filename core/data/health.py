"""What the checks say of a dataset as a whole: how many images each flags, worst first, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.checks import CHECKS, Check
from core.data.label_issues import THRESHOLD as LABEL_THRESHOLD
from core.data.manifest import read_columns, usable
from core.data.stored import Dataset
from core.wording import count

LABEL_ISSUE = Check(
    "label_issue",
    "Likely wrong label",
    "A model that never saw the image's label names another class: learning from it teaches the mistake.",
    LABEL_THRESHOLD,
)
# How much an image of the kind harms: wrong labels and copies bend training and the score itself, odd shapes little.
_WEIGHTS = {
    "label_conflict": 10.0,
    "label_issue": 8.0,
    "exact_duplicate": 5.0,
    "near_duplicate": 4.0,
    "low_information": 4.0,
    "dark": 3.0,
    "bright": 3.0,
    "blurry": 2.0,
    "grey": 1.5,
    "odd_aspect_ratio": 0.5,
    "odd_size": 0.2,
}


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes:
        applies: false where the check says nothing of this dataset, such as grey images where most are grey.
        num_flagged: images flagged at the default threshold.
        share: of the usable images, 0..1.
        num_groups: groups of copies the flagged images form; 0 for checks of single images.
    """

    check: Check
    applies: bool
    num_flagged: int
    share: float
    num_groups: int


def flag_counts(dataset: Dataset) -> dict[str, int]:
    """How many usable images each check flags."""
    flags = [f"is_{check.name}" for check in CHECKS]
    needed = ["error", "excluded", *flags]
    rows = usable(dataset.manifest() if dataset.num_edits else read_columns(dataset.folder, needed))
    return {check.name: int(rows[flag].sum()) for check, flag in zip(CHECKS, flags, strict=True)}


def checks_of(rows: pd.DataFrame) -> list[Check]:
    """The checks there are scores for; likely wrong labels only where the dataset was analysed."""
    return [check for check in (*CHECKS, LABEL_ISSUE) if f"{check.name}_score" in rows]


def findings(rows: pd.DataFrame, counted: np.ndarray) -> list[Finding]:
    """Every check's outcome, worst first: by how many images it flags, and how much such images harm.

    Args:
        rows: a manifest, with the columns of the analysis where there is one.
        counted: which rows count, bool: those that can be read and were not excluded.
    """
    total = int(counted.sum())
    found = []
    for check in checks_of(rows):
        flagged = rows[f"is_{check.name}"].to_numpy(bool) & counted
        number = int(flagged.sum())
        column = group_column(check)
        groups = np.unique(rows[column].to_numpy()[flagged]) if column else np.empty(0)
        applies = bool((~np.isnan(rows[f"{check.name}_score"].to_numpy()) & counted).any())
        found.append(Finding(check, applies, number, number / total if total else 0.0, int((groups >= 0).sum())))
    return sorted(found, key=lambda one: (-_WEIGHTS[one.check.name] * one.num_flagged, not one.applies))


def summary_table(found: Sequence[Finding]) -> pd.DataFrame:
    """One row a check, as listed on a page: Check, Images, Share (%), What it means for training."""
    return pd.DataFrame(
        {
            "Check": [one.check.title for one in found],
            "Images": [one.num_flagged if one.applies else None for one in found],
            "Share (%)": [100 * one.share if one.applies else None for one in found],
            "What it means for training": [
                one.check.meaning if one.applies else "Says nothing of this dataset." for one in found
            ],
        }
    ).astype({"Images": "Int64", "Share (%)": "Float64"})


def group_column(check: Check) -> str:
    """The column that numbers the groups a check is about; empty for checks of single images."""
    groups = {"exact_duplicate": "duplicate_group", "near_duplicate": "near_group", "label_conflict": "near_group"}
    return groups.get(check.name, "")


def headline(rows: pd.DataFrame, counted: np.ndarray, found: Sequence[Finding]) -> str:
    """`41 of 2,002 images (2.0 %) are flagged by at least one of 10 checks.`"""
    flagged = np.zeros(len(rows), bool)
    for one in found:
        flagged |= rows[f"is_{one.check.name}"].to_numpy(bool)
    number, total, applying = int((flagged & counted).sum()), int(counted.sum()), sum(one.applies for one in found)
    share = f" ({100 * number / total:.1f} %)" if total else ""
    are = "is" if number == 1 else "are"
    return f"{number:,} of {count(total, 'image')}{share} {are} flagged by at least one of {count(applying, 'check')}."


def flagged_below(rows: pd.DataFrame, counted: np.ndarray, check: Check, threshold: float) -> np.ndarray:
    """Places of the images whose score is below `threshold`, worst first."""
    scores = rows[f"{check.name}_score"].to_numpy()
    places = np.flatnonzero((scores < threshold) & counted)
    return places[np.argsort(scores[places], kind="stable")]


def groups_of(rows: pd.DataFrame, counted: np.ndarray, check: Check, places: np.ndarray) -> list[np.ndarray]:
    """Whole groups of copies in which one of the images at `places` is, largest first: places of their images."""
    numbers = rows[group_column(check)].to_numpy()
    wanted = np.unique(numbers[places])
    members = np.flatnonzero(np.isin(numbers, wanted[wanted >= 0]) & counted)
    members = members[np.argsort(numbers[members], kind="stable")]
    borders = np.flatnonzero(np.diff(numbers[members])) + 1
    return sorted(np.split(members, borders) if len(members) else [], key=len, reverse=True)


def score_histogram(rows: pd.DataFrame, counted: np.ndarray, check: Check, bins: int = 50) -> pd.DataFrame:
    """How many images have which score: low, high (low <= score < high, the last bin holds 1 too), images."""
    scores = rows[f"{check.name}_score"].to_numpy()[counted]
    images, edges = np.histogram(scores[~np.isnan(scores)], bins, (0.0, 1.0))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": images})
