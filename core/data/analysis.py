"""What features tell of a dataset: likely wrong labels and a map; started here, computed by `core.training.embed`.

This side reads files and starts the job; it needs neither torch nor scikit-learn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from core import jobs
from core.data.datasets import Dataset
from core.data.manifest import usable
from core.errors import DarkroomError, InputError
from core.files import read_json, write_bytes, write_json
from core.workspace import Workspace

ANALYSIS, SUMMARY, REQUEST = "analysis.parquet", "analysis.json", "request.json"
JOB = "core.training.embed"
# What `columns_for` gives of each image; where it is not known, numbers are NaN, flags False and labels missing.
COLUMNS: dict[str, str] = {
    "label_issue_score": "float32",  # 1 is a label that fits, 0 one that does not
    "is_label_issue": "bool",
    "suggested_label": "category",  # the most probable class by the other images
    "suggested_probability": "float32",
    "map_x": "float32",
    "map_y": "float32",
    "pca_x": "float32",
    "pca_y": "float32",
}
_OF_THE_LABEL = ("label_issue_score", "is_label_issue", "suggested_label", "suggested_probability")


@dataclass(frozen=True)
class Summary:
    """One analysis as a whole.

    Attributes:
        fingerprint: of the dataset's version that was analysed.
        at: when it ended, seconds since the epoch.
        num_images: images whose features went in.
        num_left_out: usable images whose file could not be read any more or was changed.
        num_computed: images whose features were not known from an earlier analysis.
        seconds: how long all of it took.
        image_size: pixels of a side that the network saw.
        num_arranged: images t-SNE itself placed; the others are near their nearest of these.
        accuracy: share of images whose class the others tell, None where labels could not be judged.
        noise: estimated share of wrong labels, None likewise.
        num_label_issues: labels flagged.
        no_labels_because: why labels could not be judged; empty where they were.
        versions: of the backbone and of what computed it.
    """

    fingerprint: str
    at: float
    num_images: int
    num_left_out: int
    num_computed: int
    seconds: float
    image_size: int
    num_arranged: int
    accuracy: float | None
    noise: float | None
    num_label_issues: int
    no_labels_because: str
    versions: dict[str, str]


def start_analysis(ws: Workspace, dataset: Dataset) -> None:
    """Start analysing a dataset in the background; one that is at work goes on.

    Features that an earlier analysis, finished or not, has computed are used again.

    Raises:
        InputError: the dataset's folder is gone, or it has fewer than two usable images.
    """
    if not dataset.root.is_dir():
        raise InputError(f"The folder of this dataset, {dataset.root}, is no longer there.", "Put it back.")
    if len(usable(dataset.manifest())) < 2:
        raise InputError("An analysis compares images, and fewer than two can be used.", "Add images.")
    folder = ws.analysis(dataset.id)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".starting.lock"):  # two tabs may ask in the same instant
        status = analysis_status(ws, dataset.id)
        if status is not None and (not status.ended or jobs.is_at_work(folder)):
            return
        write_json(folder / REQUEST, {"home": str(ws.root), "dataset": dataset.id})
        jobs.prepare(folder, "Starting to analyse the images.")
        jobs.launch(folder, JOB, str(folder))


def analysis_status(ws: Workspace, dataset_id: str) -> jobs.Status | None:
    """How far the analysis is, or how the last one ended; None where there was none."""
    return jobs.progress_in(ws.analysis(dataset_id))


def cancel_analysis(ws: Workspace, dataset_id: str) -> None:
    """Ask the job to end at its next step; what it has computed is kept for the next one."""
    jobs.cancel_in(ws.analysis(dataset_id))


def read_summary(ws: Workspace, dataset_id: str) -> Summary | None:
    """The last finished analysis as a whole; None where there is none, or a damaged one: it is made again."""
    try:
        raw = read_json(ws.analysis(dataset_id) / SUMMARY)
        return Summary(**{field.name: raw[field.name] for field in fields(Summary)}) if raw else None
    except (DarkroomError, KeyError, TypeError):
        return None


def is_stale(summary: Summary, dataset: Dataset) -> bool:
    """Whether images, labels or what is excluded have changed since."""
    return summary.fingerprint != dataset.fingerprint


def changed(ws: Workspace, dataset_id: str) -> int:
    """When the last analysis was stored, nanoseconds since the epoch; 0 where there is none."""
    try:
        return (ws.analysis(dataset_id) / ANALYSIS).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def write_analysis(folder: Path, frame: pd.DataFrame, summary: Summary) -> None:
    """Store what was found of each image, then of all: path, content_hash, label and the columns of `COLUMNS`."""
    write_bytes(folder / ANALYSIS, frame.to_parquet(index=False, compression="zstd"))
    write_json(folder / SUMMARY, asdict(summary))


def read_analysis(ws: Workspace, dataset_id: str) -> pd.DataFrame | None:
    """What was found of each image, as `write_analysis` was given it; None where there is none, or a damaged one."""
    try:
        frame = pd.read_parquet(ws.analysis(dataset_id) / ANALYSIS)
        return frame[["path", "content_hash", "label", *COLUMNS]].astype(COLUMNS)
    except (OSError, ValueError, KeyError):  # pyarrow's own errors are ValueErrors
        return None


def columns_for(rows: pd.DataFrame, analysis: pd.DataFrame) -> pd.DataFrame:
    """The columns of `COLUMNS` for each row of a manifest, on the same index.

    A row is told by path and content. What is said of its label counts only while it still has that label: a corrected
    one is no longer an issue.
    """
    if len(rows) == len(analysis) and _same(rows["path"], analysis["path"]).all():
        places = np.arange(len(rows))  # the usual case; the search below takes seconds for a million
    else:
        places = pd.Index(analysis["path"]).get_indexer(pd.Index(rows["path"]))
    known = places >= 0
    known[known] = _same(rows["content_hash"][known], analysis["content_hash"].iloc[places[known]])
    same_label = known.copy()
    same_label[known] = _same(rows["label"][known], analysis["label"].iloc[places[known]])
    found = {}
    for name, kind in COLUMNS.items():
        take = np.where(same_label if name in _OF_THE_LABEL else known, places, -1)
        column = analysis[name]
        if kind == "category":
            codes = np.append(column.cat.codes.to_numpy(), -1)[take]
            found[name] = pd.Categorical.from_codes(codes, column.cat.categories)
        else:
            found[name] = np.append(column.to_numpy(), False if kind == "bool" else np.float32(np.nan))[take]
    return pd.DataFrame(found, index=rows.index)


def most_suspicious(rows: pd.DataFrame, mask: np.ndarray, most: int) -> np.ndarray:
    """Places of the rows that pass and whose label was judged, the most suspicious first, at most so many.

    Args:
        rows: a manifest with the columns of `columns_for`.
    """
    scores = rows["label_issue_score"].to_numpy()
    places = np.flatnonzero(mask & ~np.isnan(scores))
    if len(places) > most:
        places = np.sort(places[np.argpartition(scores[places], most - 1)[:most]])
    return places[np.argsort(scores[places], kind="stable")]


def points_of_map(
    rows: pd.DataFrame, mask: np.ndarray, projection: str, colour_by: str, most: int, seed: int = 0
) -> pd.DataFrame:
    """The images to draw on a map: place (of the row), x, y, series (class or split, missing where not given).

    Of more than `most` images a random part is taken: the same share of every class, at least one while there is room.

    Args:
        projection: `map` or `pca`.
        colour_by: `label` or `split`.
    """
    x, y = (rows[f"{projection}_{axis}"].to_numpy() for axis in "xy")
    places = np.flatnonzero(mask & ~np.isnan(x))
    if len(places) > most:
        labels = rows["label"].cat.codes.to_numpy()[places]
        places = np.sort(places[_share_of_each(labels, most, seed)])
    return pd.DataFrame({"place": places, "x": x[places], "y": y[places], "series": rows[colour_by].to_numpy()[places]})


def _share_of_each(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many places at random, spread over the labels as all of them are."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    quota = np.maximum(1, counts * most // len(labels))
    chosen = by_label[rank < np.repeat(quota, counts)]
    return chosen[np.argsort(rank[rank < np.repeat(quota, counts)], kind="stable")][:most]


def _same(one: pd.Series, other: pd.Series) -> np.ndarray:
    """Whether text is equal place by place; missing text equals nothing."""
    equal = pd.Series(one.astype("str").array == other.astype("str").array)
    return equal.to_numpy(bool, na_value=False)
