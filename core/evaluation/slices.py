"""Where the model breaks: its accuracy on parts of the test images, by what is known of each image, the worst first.

Whoever compares a hundred parts with the rest finds some that look bad by chance. So each comparison's p-value
(Fisher's exact test, two-sided) is corrected for the number of comparisons (Holm, "A Simple Sequentially Rejective
Multiple Test Procedure", 1979), and only what stays below `LEVEL` is called conspicuous.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.evaluation.evaluated import Evaluated
from core.evaluation.metrics import wilson_interval
from core.wording import count, percent, significant

FEWEST = 10  # images on either side of a comparison
PARTS = 4  # that a measure is divided into, of about as many images each
MOST_VALUES = 30  # of a text column; the commonest
MOST_FOLDERS = 4  # levels of folders
LEVEL = 0.05
_TIE = 1 + 1e-9

# What is no property of an image, is in `_measures` under a better name, or belongs to the training images.
_LEFT_OUT = frozenset(
    """path label split source_label content_hash perceptual_hash error excluded measured_by mtime_ns width height
    predicted confidence loss energy distance duplicate_group near_group darkest brightest
    mean_r mean_g mean_b std_r std_g std_b""".split()
)
_TITLES = {
    "num_bytes": "file size (bytes)",
    "mode": "colour mode",
    "format": "file format",
    "entropy": "entropy of brightness",
}


@dataclass(frozen=True)
class Group:
    """Some of the test images.

    Attributes:
        by: what they have in common is a value of this, in words; names of files and columns are the user's.
        value: the value, or the range of values.
        members: bool, one a row of the test images.
    """

    by: str
    value: str
    members: np.ndarray


def section(evaluated: Evaluated) -> dict[str, Any]:
    """`slices` of the report; see `compare`."""
    return compare(joined(evaluated.predictions, evaluated.manifest))


def joined(predictions: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """The test images with their answers and all that the manifest knows of them, numbered from 0."""
    answers = predictions.loc[predictions["split"] == "test", ["path", "label", "predicted", "confidence", "loss"]]
    known = manifest.drop(columns=[name for name in answers if name != "path" and name in manifest])
    return answers.merge(known, on="path", how="left", validate="one_to_one")


def compare(rows: pd.DataFrame) -> dict[str, Any]:
    """Each part of the test images against all others.

    Args:
        rows: of `joined`.

    Returns:
        sentence: the outcome in words; compared, conspicuous: how many parts; rows: one a part, the conspicuously bad
        first, then by rising accuracy: by, value, images, right, accuracy, low, high (95 %, Wilson), rest (accuracy of
        all others), expected (accuracy that its mix of classes alone would give), p (adjusted), conspicuous.
    """
    right = (rows["label"] == rows["predicted"]).to_numpy()
    of_class = pd.Series(right).groupby(rows["label"].to_numpy()).transform("mean").to_numpy()
    found: list[dict[str, Any]] = []
    for group in groups(rows):
        images, hits = int(group.members.sum()), int(right[group.members].sum())
        others, others_right = len(rows) - images, int(right.sum()) - hits
        low, high = wilson_interval(hits, images)
        found.append(
            {
                "by": group.by,
                "value": group.value,
                "images": images,
                "right": hits,
                "accuracy": hits / images,
                "low": low,
                "high": high,
                "rest": others_right / others,
                "expected": float(of_class[group.members].mean()),
                "p": fisher_exact(hits, images - hits, others_right, others - others_right),
            }
        )
    for row, adjusted in zip(found, holm([row["p"] for row in found]), strict=True):
        row["p"] = adjusted
        row["conspicuous"] = bool(adjusted < LEVEL and row["accuracy"] < row["rest"])
    found.sort(key=lambda row: (not row["conspicuous"], row["accuracy"], -row["images"]))
    conspicuous = [row for row in found if row["conspicuous"]]
    return {
        "sentence": _sentence(found, conspicuous, len(rows)),
        "compared": len(found),
        "conspicuous": len(conspicuous),
        "rows": found,
    }


def members(rows: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """The test images of one part, the wrong ones first, the most confident first; empty where there is no such part.

    Args:
        rows: of `joined`.
    """
    here = next((group.members for group in groups(rows) if (group.by, group.value) == (by, value)), None)
    if here is None:
        return rows.head(0)
    chosen = rows[here]
    chosen = chosen.assign(is_right=chosen["label"] == chosen["predicted"])
    order = chosen.sort_values(["is_right", "confidence", "path"], ascending=[True, False, True])
    return order.drop(columns="is_right").reset_index(drop=True)


def groups(rows: pd.DataFrame) -> Iterator[Group]:
    """The parts to compare: by measures, by flags, by values of text columns, and by folders."""
    for by, values in _measures(rows):
        yield from _usable(_ranges(by, values))
    for by, texts in _texts(rows):
        yield from _usable(_values(by, texts))


def fisher_exact(a: int, b: int, c: int, d: int) -> float:
    """Two-sided p-value of Fisher's exact test for the table ((a, b), (c, d)) of counts.

    The probability, margins given, of all tables that are no likelier than this one (R. A. Fisher 1935).
    """
    total, row, column = a + b + c + d, a + b, a + c
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    upper_left = np.arange(max(0, row + column - total), min(row, column) + 1)
    logs = -(
        log_factorial[upper_left]
        + log_factorial[row - upper_left]
        + log_factorial[column - upper_left]
        + log_factorial[total - row - column + upper_left]
    )
    likelihoods = np.exp(logs - logs.max())
    observed = likelihoods[a - upper_left[0]]
    return float(min(1.0, likelihoods[likelihoods <= observed * _TIE].sum() / likelihoods.sum()))


def holm(p_values: list[float]) -> list[float]:
    """Each p-value corrected for how many there are: what is below a level then is wrong about none, that surely.

    With the values sorted, the k-th of n is multiplied by n - k + 1 and is no smaller than those before it (Holm 1979).
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = np.empty(len(p_values)), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted.tolist()


def _measures(rows: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    if {"width", "height"} <= set(rows):
        width, height = (rows[name].to_numpy(np.float64) for name in ("width", "height"))
        known = (width > 0) & (height > 0)
        yield "longer side (pixels)", np.where(known, np.maximum(width, height), np.nan)
        yield "width to height", np.divide(width, height, out=np.full(len(rows), np.nan), where=known)
    for name in _columns(rows):
        kind = rows[name].dtype
        if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) and not name.endswith("_score"):
            yield _title(name), rows[name].to_numpy(np.float64)


def _texts(rows: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for name in _columns(rows):
        kind = rows[name].dtype
        if pd.api.types.is_bool_dtype(kind):
            check = name.removeprefix("is_").replace("_", " ")
            yield "quality check", rows[name].map({True: check, False: None})
        elif not pd.api.types.is_numeric_dtype(kind):
            yield _title(name), rows[name]
    folders = rows["path"].str.split("/").map(lambda parts: parts[:-1])
    for level in range(MOST_FOLDERS):
        names = folders.str.get(level)
        # Where the label says the folder, as in folders of classes, these parts would be the classes once more.
        if names.groupby(rows["label"]).nunique().max() > 1:
            yield f"folder, level {level + 1}", names


def _columns(rows: pd.DataFrame) -> list[str]:
    return [str(name) for name in rows if name not in _LEFT_OUT]


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " "))


def _ranges(by: str, values: np.ndarray) -> Iterator[Group]:
    """Parts of about as many images each; single values where there are few."""
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= PARTS:
        for value in distinct:
            yield Group(by, significant(float(value)), values == value)
        return
    edges = np.unique(np.quantile(known, np.arange(1, PARTS) / PARTS))
    part = np.searchsorted(edges, values, side="left")  # NaN would be of the last one
    for number in range(len(edges) + 1):
        yield Group(by, _range(edges, number), (part == number) & ~np.isnan(values))


def _range(edges: np.ndarray, number: int) -> str:
    if number == 0:
        return f"up to {significant(float(edges[0]))}"
    low = significant(float(edges[number - 1]))
    return f"above {low}" if number == len(edges) else f"{low} to {significant(float(edges[number]))}"


def _values(by: str, texts: pd.Series) -> Iterator[Group]:
    for value in texts.value_counts().index[:MOST_VALUES]:
        yield Group(by, str(value), (texts == value).to_numpy(bool, na_value=False))


def _usable(parts: Iterator[Group]) -> Iterator[Group]:
    """Those with enough images on either side."""
    for part in parts:
        images = int(part.members.sum())
        if images >= FEWEST and len(part.members) - images >= FEWEST:
            yield part


def _sentence(found: list[dict[str, Any]], conspicuous: list[dict[str, Any]], num_test: int) -> str:
    if not found:
        return (
            f"{count(num_test, 'test image')} cannot be divided into parts to compare: that takes {FEWEST} images on "
            "either side."
        )
    looked = (
        f"{count(len(found), 'part')} of the test images {'was' if len(found) == 1 else 'were'} each compared with "
        "the rest"
    )
    if not conspicuous:
        return (
            f"{looked}; none is worse beyond what chance does among so many comparisons. What stands first below "
            "may well be chance."
        )
    worst = conspicuous[0]
    return (
        f"{looked}; {count(len(conspicuous))} of them {'is' if len(conspicuous) == 1 else 'are'} worse beyond chance. "
        f"The worst is {worst['by']} {worst['value']}: {percent(worst['accuracy'])} of {count(worst['images'])} are "
        f"right, of the rest {percent(worst['rest'])}."
    )
