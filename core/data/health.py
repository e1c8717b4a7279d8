"""What the checks say of a dataset as a whole: how many images each flags, worst first, and what that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.checks import CHECKS, Check
from core.data.manifest import usable
from core.data.stored import Dataset

LABEL_ISSUE = Check(
    "label_issue",
    "Likely wrong label",
    "A model that never saw the image's label names another class: learning from it teaches the mistake.",
    0.5,
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
    "odd_aspect_ratio": 1.0,
    "odd_size": 1.0,
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
    rows = usable(dataset.manifest())
    return {check.name: int(rows[f"is_{check.name}"].sum()) for check in CHECKS}


def findings(rows: pd.DataFrame) -> list[Finding]:
    """Every check there are scores for, worst first: by how many images it flags, and how much such images harm.

    Args:
        rows: usable rows of a manifest, with `label_issue` where the dataset was analysed.
    """
    checks = [check for check in (*CHECKS, LABEL_ISSUE) if f"{check.name}_score" in rows]
    found = []
    for check in checks:
        flagged = rows[f"is_{check.name}"].to_numpy(bool)
        number = int(flagged.sum())
        groups = rows[group_column(check)].to_numpy()[flagged] if group_column(check) else np.empty(0)
        found.append(
            Finding(
                check,
                bool(rows[f"{check.name}_score"].notna().any()),
                number,
                number / len(rows) if len(rows) else 0.0,
                len(np.unique(groups[groups >= 0])),
            )
        )
    return sorted(found, key=lambda one: -_WEIGHTS[one.check.name] * one.num_flagged)


def group_column(check: Check) -> str:
    """The column that numbers the groups a check is about; empty for checks of single images."""
    groups = {"exact_duplicate": "duplicate_group", "near_duplicate": "near_group", "label_conflict": "near_group"}
    return groups.get(check.name, "")


def headline(rows: pd.DataFrame, found: Sequence[Finding]) -> str:
    """`41 of 2,002 images (2.0 %) are flagged by at least one of 10 checks.`"""
    flagged = np.zeros(len(rows), bool)
    for one in found:
        flagged |= rows[f"is_{one.check.name}"].to_numpy(bool)
    number, applying = int(flagged.sum()), sum(one.applies for one in found)
    share = f" ({number / len(rows):.1%})" if len(rows) else ""
    return f"{number:,} of {len(rows):,} images{share} are flagged by at least one of {applying} checks."


def flagged_below(rows: pd.DataFrame, check: Check, threshold: float) -> np.ndarray:
    """Places of the images whose score is below `threshold`: worst first, copies group by group."""
    scores = rows[f"{check.name}_score"].to_numpy()
    places = np.flatnonzero(scores < threshold)
    column = group_column(check)
    if not column:
        return places[np.argsort(scores[places], kind="stable")]
    groups = rows[column].to_numpy()[places]
    sizes = np.bincount(groups[groups >= 0], minlength=1)
    size = np.where(groups >= 0, sizes[np.maximum(groups, 0)], 0)
    return places[np.lexsort((places, groups, -size))]


def score_histogram(rows: pd.DataFrame, check: Check, bins: int = 50) -> pd.DataFrame:
    """How many images have which score: low, high (low <= score < high, the last bin holds 1 too), images."""
    scores = rows[f"{check.name}_score"].to_numpy()
    images, edges = np.histogram(scores[~np.isnan(scores)], bins, (0.0, 1.0))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": images})
