"""What pages read again and again, kept in the server's memory once for all sessions; nobody may change it in place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core.config import SplitConfig, TrainConfig
from core.data import summary
from core.data.datasets import Dataset
from core.data.splits import split_dataset
from core.evaluation.predictions import PREDICTIONS, read_predictions
from core.inference.bundle import META, ONNX
from core.inference.classifier import Classifier, open_classifier
from core.runs.devices import training_device
from core.runs.store import MANIFEST, REPORT, Run
from core.workspace import Workspace

device = st.cache_resource(ttl=60, show_spinner=False)(training_device)


def dataset_rows(dataset: Dataset) -> pd.DataFrame:
    """All rows of the manifest, unreadable files included."""
    return _manifest(str(dataset.folder), dataset.fingerprint, dataset)


def dataset_tables(dataset: Dataset) -> dict[str, pd.DataFrame]:
    """The small tables behind Explore's charts: `classes`, `sizes`, `grid`, `unreadable`."""
    return _tables(str(dataset.folder), dataset.fingerprint, dataset)


def split_sizes(workspace: Workspace, dataset: Dataset, split: SplitConfig) -> dict[str, int]:
    """Images in train, val and test if this dataset were split so; raises `InputError` where it cannot be."""
    return _split_sizes(str(dataset.folder), dataset.fingerprint, split.model_dump_json(), workspace, dataset.id, split)


def run_rows(run: Run) -> pd.DataFrame:
    """The images of a run with the split it used."""
    return _run_rows(str(run.folder), _changed(run.folder / MANIFEST), run)


def was_evaluated(run: Run) -> bool:
    """Whether the run has a report, without reading it: one damaged report must not hide the other runs."""
    return (run.folder / REPORT).is_file()


def predictions(run: Run) -> pd.DataFrame | None:
    """The run's predictions, or None while there are none."""
    changed = _changed(run.folder / PREDICTIONS)
    return _predictions(str(run.folder), changed) if changed else None


def classifier(run: Run) -> Classifier:
    """The run's model, ready in this process; raises `DarkroomError` where it has no ONNX graph."""
    return _classifier(str(run.bundle), model_version(run))


def model_version(run: Run) -> str:
    """Text that changes when the run's model does."""
    return f"{run.id} {_changed(run.bundle / META)} {_changed(run.bundle / ONNX)}"


@st.cache_resource(max_entries=8, show_spinner="Reading the manifest")
def _manifest(folder: str, fingerprint: str, _dataset: Dataset) -> pd.DataFrame:
    return _dataset.manifest()


@st.cache_resource(max_entries=32, show_spinner="Counting images")
def _tables(folder: str, fingerprint: str, _dataset: Dataset) -> dict[str, pd.DataFrame]:
    rows = dataset_rows(_dataset)
    return {
        "classes": summary.class_counts(rows),
        "sizes": summary.size_histograms(rows),
        "grid": summary.size_grid(rows),
        "unreadable": summary.unreadable(rows),
    }


@st.cache_resource(max_entries=64, show_spinner="Dividing the images")
def _split_sizes(
    folder: str, fingerprint: str, split: str, _workspace: Workspace, dataset_id: str, _split: SplitConfig
) -> dict[str, int]:
    config = TrainConfig.model_validate({"data": {"dataset": dataset_id}, "split": _split.model_dump()})
    counts = split_dataset(_workspace, config)["split"].value_counts()
    return {name: int(counts.get(name, 0)) for name in ("train", "val", "test")}


@st.cache_resource(max_entries=8, show_spinner="Reading the run's images")
def _run_rows(folder: str, changed: int, _run: Run) -> pd.DataFrame:
    return _run.manifest()


@st.cache_resource(max_entries=8, show_spinner="Reading the predictions")
def _predictions(folder: str, changed: int) -> pd.DataFrame | None:
    return read_predictions(Path(folder))


@st.cache_resource(max_entries=4, show_spinner="Loading the model")
def _classifier(bundle: str, version: str) -> Classifier:
    return open_classifier(Path(bundle), engine="onnx")


def _changed(path: Path) -> int:
    """When a file was last changed, nanoseconds since the epoch; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
