"""How datasets and runs are named in lists: readable, and never two the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from core.data.datasets import Dataset, list_datasets
from core.errors import DarkroomError
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace


def dataset_sentence(dataset: Dataset) -> str:
    """`2 classes, 2,002 images, 0 unreadable, flat names`."""
    classes = count(dataset.num_classes, "class", "classes")
    return f"{classes}, {count(dataset.num_images, 'image')}, {count(dataset.num_errors)} unreadable, {dataset.layout}"


def dataset_labels(datasets: Sequence[Dataset]) -> Callable[[str], str]:
    """From a dataset's id to its name, with the id added where two have the same name."""
    times = Counter(dataset.name for dataset in datasets)
    named = {one.id: one.name if times[one.name] == 1 else f"{one.name} ({one.id})" for one in datasets}
    return named.__getitem__


def started(run: Run) -> str:
    """When a run was started, in this machine's time: `2025-11-21 22:17`."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)) if run.created else "at an unknown time"


def run_labels(runs: Sequence[Run]) -> Callable[[str], str]:
    """From a run's id to when it was started and on what; a state is left out, since it changes while one looks."""
    names = _dataset_names()
    short = {run.id: f"{started(run)}, {_trained(run, names)}" for run in runs}
    times = Counter(short.values())
    named = {run_id: label if times[label] == 1 else f"{label} ({run_id})" for run_id, label in short.items()}
    return named.__getitem__


def trained_on(run: Run) -> str:
    """The name of the run's dataset, or its id where it is not registered any more; raises as `Run.config` does."""
    dataset_id = run.config.data.dataset
    return _dataset_names().get(dataset_id, dataset_id)


def _trained(run: Run, names: dict[str, str]) -> str:
    try:
        config = run.config
    except DarkroomError:
        return "damaged settings"
    return f"{names.get(config.data.dataset, config.data.dataset)}, {config.model.architecture}"


def _dataset_names() -> dict[str, str]:
    return {dataset.id: dataset.name for dataset in list_datasets(Workspace.default())}
