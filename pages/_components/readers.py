"""What pages read again and again, kept in the server's memory once for all sessions; nobody may change it in place."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st

from core.config import SplitConfig, TrainConfig
from core.data import analysis, summary
from core.data.datasets import Dataset
from core.data.filters import Filters, order
from core.data.manifest import MANIFEST as DATASET_MANIFEST
from core.data.splits import SPLITS, Division, Leaks, assign_splits, class_table, divide
from core.errors import InputError
from core.evaluation.abstention import coverage_curve, read_answers
from core.evaluation.calibration import rescaled
from core.evaluation.diagnosis import diagnose
from core.evaluation.fixes import Changes, changes_since
from core.evaluation.predictions import PREDICTIONS, class_names, read_predictions, read_probabilities
from core.evaluation.roc import Curves, one_vs_rest
from core.evaluation.slices import joined
from core.inference.bundle import META, ONNX, read_bundle
from core.inference.classifier import Classifier, open_classifier
from core.runs.devices import training_device
from core.runs.store import MANIFEST, REPORT, Run
from core.wording import count
from core.workspace import Workspace

T = TypeVar("T")
ALL = Filters()  # nothing filtered but what was excluded
device = st.cache_resource(ttl=60, show_spinner=False)(training_device)


def dataset_rows(dataset: Dataset) -> pd.DataFrame:
    """All rows of the manifest with the user's edits, unreadable files included; see `summary.for_pages`.

    Where the dataset was analysed, with the columns of `core.data.analysis.COLUMNS`.
    A million rows: ask for whole columns (`rows["width"].to_numpy()`), never for rows or lists of Python objects.
    """
    return _manifest(*_version(dataset), dataset)


def passing(dataset: Dataset, filters: Filters) -> np.ndarray:
    """Which rows of `dataset_rows` the filters let through, as bool."""
    return _mask(*_version(dataset), filters, dataset)


def ordered(dataset: Dataset, filters: Filters, by: str | None, descending: bool) -> np.ndarray:
    """Places in `dataset_rows` of what the filters let through, in order of a measure or of path."""
    return _order(*_version(dataset), filters, by, descending, dataset)


def counted(dataset: Dataset, filters: Filters, what: Hashable, how: Callable[[pd.DataFrame, np.ndarray], T]) -> T:
    """`how(rows, passing)`, worked out once for each state of the dataset, filters and `what`.

    Args:
        what: says what `how` counts, arguments included; a small result, since hundreds are kept.
    """
    return _count(*_version(dataset), filters, what, dataset, how)


def class_counts(dataset: Dataset, filters: Filters = ALL) -> pd.DataFrame:
    """`summary.class_counts` of what the filters let through."""
    return counted(dataset, filters, "classes", summary.class_counts)


def labels(dataset: Dataset) -> list[str]:
    """All classes of the dataset, in alphabetical order."""
    return counted(dataset, ALL, "labels", lambda rows, _: sorted(rows["label"].cat.categories))


def training_part(dataset: Dataset) -> tuple[np.ndarray, str] | None:
    """Which rows of `dataset_rows` are for training, and in words how many and who says so.

    None where the dataset cannot be divided.

    What the source says stands; what it leaves open is drawn as training by default does.
    """
    return _training(*_version(dataset), dataset)


def divided(workspace: Workspace, dataset: Dataset, config: TrainConfig) -> tuple[pd.DataFrame, Leaks]:
    """Images of each class in each split if this dataset were divided so (see `class_table`), and what would leak.

    Raises:
        InputError: it cannot be split so.
    """
    return _divided(*_version(dataset), _how_divided(config), workspace, dataset.id, config)


def division(workspace: Workspace, dataset: Dataset, config: TrainConfig) -> Division:
    """The dataset divided so; raises as `divided` does."""
    return _division(*_version(dataset), _how_divided(config), workspace, dataset.id, config)


def given_splits(dataset: Dataset) -> frozenset[str]:
    """The splits that the dataset's own folders or table say."""
    return counted(dataset, ALL, "given splits", lambda rows, _: frozenset(SPLITS) & frozenset(rows["split"].dropna()))


def run_rows(run: Run) -> pd.DataFrame:
    """The images of a run with the split it used."""
    return _run_rows(str(run.folder), _changed(run.folder / MANIFEST), run)


def test_rows(run: Run) -> pd.DataFrame | None:
    """The run's test images with its answers and what its manifest knows of them; None while there are no answers."""
    changed = _changed(run.folder / PREDICTIONS)
    return _test_rows(str(run.folder), changed, run) if changed else None


def changes(run: Run, dataset: Dataset) -> Changes:
    """What was corrected in the run's dataset since the run was started."""
    return _changes(str(run.folder), _changed(run.folder / MANIFEST), _version(dataset), run, dataset)


def was_evaluated(run: Run) -> bool:
    """Whether the run has a report, without reading it: one damaged report must not hide the other runs."""
    return (run.folder / REPORT).is_file()


def predictions(run: Run) -> pd.DataFrame | None:
    """The run's predictions, or None while there are none."""
    changed = _changed(run.folder / PREDICTIONS)
    return _predictions(str(run.folder), changed) if changed else None


def answers(run: Run, temperature: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Calibrated confidences and whether they are right, by split; see `abstention.read_answers`, also for errors."""
    return _answers(str(run.folder), _changed(run.folder / PREDICTIONS), temperature)


def coverage(run: Run, temperature: float) -> list[dict[str, float]]:
    """`abstention.coverage_curve` of the run's test images."""
    return _coverage(str(run.folder), _changed(run.folder / PREDICTIONS), temperature)


def report(run: Run) -> dict[str, Any]:
    """The run's report; of a thousand classes it takes a tenth of a second to read."""
    return _report(str(run.folder), _changed(run.folder / REPORT), run)


def diagnosis(run: Run) -> dict[str, Any] | None:
    """What is probably wrong with the run, see `core.evaluation.diagnosis`; None while there are no answers.

    Of a run that was evaluated before there was one it is made now.
    """
    return report(run).get("diagnosis") or _diagnosis(str(run.folder), _changed(run.folder / REPORT), run)


def confusion(run: Run) -> np.ndarray:
    """The report's confusion matrix, (C, C)."""
    return _confusion(str(run.folder), _changed(run.folder / REPORT), run)


def class_curves(run: Run, label: str) -> Curves | None:
    """ROC and precision-recall curves of a class on the test images; None where there are none."""
    return _class_curves(str(run.folder), _changed(run.folder / PREDICTIONS), label)


def two_class_scores(run: Run, positive: str) -> dict[str, tuple[np.ndarray, np.ndarray]] | None:
    """Of a run with two classes: for `val` and `test`, the probability of `positive` with the run's temperature, and
    whether each image is of that class."""
    if not _changed(run.folder / PREDICTIONS):
        return None
    temperature = read_bundle(run.bundle).temperature
    return _two_class_scores(str(run.folder), _changed(run.folder / PREDICTIONS), positive, temperature)


def classifier(run: Run) -> Classifier:
    """The run's model, ready in this process; raises `DarkroomError` where it has no ONNX graph."""
    return _classifier(str(run.bundle), model_version(run))


def model_version(run: Run) -> str:
    """Text that changes when the run's model does."""
    return f"{run.id} {_changed(run.bundle / META)} {_changed(run.bundle / ONNX)}"


def _version(dataset: Dataset) -> tuple[str, str, tuple[int, int]]:
    """What the rows of a dataset depend on: its folder, its fingerprint, and when it was indexed and analysed.

    Indexing again may add columns without changing the fingerprint.
    """
    when = _changed(dataset.folder / DATASET_MANIFEST), analysis.changed(Workspace.default(), dataset.id)
    return str(dataset.folder), dataset.fingerprint, when


@st.cache_resource(max_entries=4, show_spinner="Reading the manifest")
def _indexed(folder: str, changed: int, _dataset: Dataset) -> pd.DataFrame:
    return summary.for_pages(_dataset.indexed())


@st.cache_resource(max_entries=8, show_spinner=False)
def _manifest(folder: str, fingerprint: str, changed: tuple[int, int], _dataset: Dataset) -> pd.DataFrame:
    """As corrected: versions share all columns but those that the corrections changed."""
    rows = _dataset.corrected(_indexed(folder, changed[0], _dataset).astype({"label": "str"}))
    found = analysis.read_analysis(Workspace.default(), _dataset.id) if changed[1] else None
    return summary.for_pages(rows if found is None else rows.assign(**analysis.columns_for(rows, found)))


@st.cache_resource(max_entries=16, show_spinner=False)
def _mask(folder: str, fingerprint: str, changed: tuple[int, int], filters: Filters, _dataset: Dataset) -> np.ndarray:
    return filters.mask(dataset_rows(_dataset))


@st.cache_resource(max_entries=8, show_spinner=False)
def _order(
    folder: str,
    fingerprint: str,
    changed: tuple[int, int],
    filters: Filters,
    by: str | None,
    descending: bool,
    _dataset: Dataset,
) -> np.ndarray:
    return order(dataset_rows(_dataset), passing(_dataset, filters), by, descending)


@st.cache_resource(max_entries=4, show_spinner="Dividing the images")
def _training(
    folder: str, fingerprint: str, changed: tuple[int, int], _dataset: Dataset
) -> tuple[np.ndarray, str] | None:
    rows = dataset_rows(_dataset)
    given = [name for name in ("train", "val", "test") if (rows["split"] == name).any()]
    if len(given) == 3:
        part = passing(_dataset, ALL) & (rows["split"] == "train").to_numpy()
        who = "as the source gives it"
    else:
        try:
            part = (assign_splits(_dataset.manifest(), SplitConfig())["split"] == "train").to_numpy()
        except InputError:
            return None
        who = "as Train divides the images by default"
        if given:
            who += f", with what the source gives for {' and '.join(given)}"
    return part, f"({count(int(part.sum()), 'image')}, {who})"


@st.cache_resource(max_entries=256, show_spinner="Counting images")
def _count(
    folder: str,
    fingerprint: str,
    changed: int,
    filters: Filters,
    what: Hashable,
    _dataset: Dataset,
    _how: Callable[[pd.DataFrame, np.ndarray], T],
) -> T:
    return _how(dataset_rows(_dataset), passing(_dataset, filters))


def _how_divided(config: TrainConfig) -> str:
    """What of the settings the division depends on."""
    share = config.data.train_share
    return f"{config.split.model_dump_json()} {share} {config.runtime.seed if share < 1 else ''}"


@st.cache_resource(max_entries=64, show_spinner="Dividing the images")
def _divided(
    folder: str,
    fingerprint: str,
    changed: tuple[int, int],
    how: str,
    _workspace: Workspace,
    dataset_id: str,
    _config: TrainConfig,
) -> tuple[pd.DataFrame, Leaks]:
    division = _division(folder, fingerprint, changed, how, _workspace, dataset_id, _config)
    return class_table(division.manifest), division.leaks


@st.cache_resource(max_entries=2, show_spinner="Dividing the images")
def _division(
    folder: str,
    fingerprint: str,
    changed: tuple[int, int],
    how: str,
    _workspace: Workspace,
    dataset_id: str,
    _config: TrainConfig,
) -> Division:
    data = _config.data.model_copy(update={"dataset": dataset_id})
    return divide(_workspace, _config.model_copy(update={"data": data}))


@st.cache_resource(max_entries=8, show_spinner="Reading the run's images")
def _run_rows(folder: str, changed: int, _run: Run) -> pd.DataFrame:
    return _run.manifest()


@st.cache_resource(max_entries=8, show_spinner="Reading the predictions")
def _predictions(folder: str, changed: int) -> pd.DataFrame | None:
    return read_predictions(Path(folder))


@st.cache_resource(max_entries=8, show_spinner="Reading the predictions")
def _answers(folder: str, changed: int, temperature: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return read_answers(Path(folder), temperature)


@st.cache_resource(max_entries=8, show_spinner=False)
def _coverage(folder: str, changed: int, temperature: float) -> list[dict[str, float]]:
    return coverage_curve(*_answers(folder, changed, temperature)["test"])


@st.cache_resource(max_entries=16, show_spinner="Looking for corrections")
def _changes(
    folder: str, changed: int, version: tuple[str, str, tuple[int, int]], _run: Run, _dataset: Dataset
) -> Changes:
    return changes_since(run_rows(_run), dataset_rows(_dataset))


@st.cache_resource(max_entries=4, show_spinner=False)
def _test_rows(folder: str, changed: int, _run: Run) -> pd.DataFrame | None:
    answers = predictions(_run)
    return None if answers is None else joined(answers, run_rows(_run))


@st.cache_resource(max_entries=8, show_spinner=False)
def _report(folder: str, changed: int, _run: Run) -> dict[str, Any]:
    return _run.report() or {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _diagnosis(folder: str, changed: int, _run: Run) -> dict[str, Any] | None:
    answers = predictions(_run)
    return None if answers is None else diagnose(_run, run_rows(_run), answers, report(_run))


@st.cache_resource(max_entries=8, show_spinner=False)
def _confusion(folder: str, changed: int, _run: Run) -> np.ndarray:
    return np.asarray(report(_run)["confusion"])


@st.cache_resource(max_entries=64, show_spinner="Drawing curves")
def _class_curves(folder: str, changed: int, label: str) -> Curves | None:
    read = read_probabilities(Path(folder), "test", [label])
    return None if read is None else one_vs_rest(read[1][:, 0], (read[0]["label"] == label).to_numpy())


@st.cache_resource(max_entries=8, show_spinner=False)
def _two_class_scores(
    folder: str, changed: int, positive: str, temperature: float
) -> dict[str, tuple[np.ndarray, np.ndarray]] | None:
    read = read_probabilities(Path(folder), None)
    if read is None:
        return None
    frame, probabilities = read
    place = class_names(Path(folder)).index(positive)
    scores = rescaled(probabilities, temperature)[:, place]
    of_class = (frame["label"] == positive).to_numpy()
    return {split: (scores[which], of_class[which]) for split in ("val", "test") for which in [frame["split"] == split]}


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def _classifier(bundle: str, version: str) -> Classifier:
    return open_classifier(Path(bundle), engine="onnx")


def _changed(path: Path) -> int:
    """When a file was last changed, nanoseconds since the epoch; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
