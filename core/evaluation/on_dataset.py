"""Evaluate a run on the labelled images of any dataset, without training, as a job:
`python -m core.evaluation.on_dataset RUN_FOLDER DATASET`.

Images the run has learned from, their copies and those that look like one of them are left out and counted, so that
what is measured is how the model does on images that are new to it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.data.duplicates import exact_groups, find_alike, near_groups
from core.data.manifest import usable, with_all_columns
from core.data.stored import Dataset, open_dataset
from core.errors import DarkroomError, InputError
from core.evaluation.again_on import is_unchanged, seen_by
from core.evaluation.label_mapping import checked_mapping
from core.evaluation.metrics import confused_pairs
from core.evaluation.predictions import plain, predict_manifest, read_predictions, write_predictions
from core.evaluation.report import build_report
from core.evaluation.side_jobs import Cancelled, SideJob, meter, model_stamp
from core.files import write_json
from core.inference.bundle import read_bundle
from core.inference.classifier import open_classifier
from core.jobs import StatusWriter
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace

FOLDER = "on-data"  # in the run's folder: a folder a dataset with the answers
SIZES = (500, 2000, 0)  # images on offer, spread evenly; 0 for all
_MOST_PAIRS = 20
_ANSWER = "on-"  # begins the name of the answer in the run's folder
_COMPARED = ["path", "content_hash", "perceptual_hash", "width", "height"]
_COMPARED += [f"{which}_{channel}" for which in ("mean", "std") for channel in "rgb"]

Found = dict[str, Any]


def on_dataset_job(dataset_id: str) -> SideJob:
    """The job for that dataset; its request has `mapping`, {label: class or None}, and `most`, images or 0 for all.

    Raises:
        InputError: what cannot be the id of a dataset.
    """
    name = Workspace.default().dataset(dataset_id).name
    return SideJob(f"{_ANSWER}{name}", "core.evaluation.on_dataset", "The evaluation", (name,))


def results(run: Run) -> list[Found]:
    """What the run did on other datasets, as `evaluate_on_dataset` gives it, by name; those of its model as it is."""
    names = [path.stem.removeprefix(_ANSWER) for path in run.folder.glob(f"{_ANSWER}*.json")]
    found = [answer for name in names if (answer := on_dataset_job(name).answer(run)) is not None]
    return sorted(found, key=lambda one: (one["name"], one["dataset"]))


def answers_on(run: Run, dataset_id: str) -> pd.DataFrame | None:
    """The run's answer for each of the images, labels in the model's words; None where it was not asked."""
    return read_predictions(_folder(run, dataset_id))


def commonest_mistakes(found: Found) -> pd.DataFrame:
    """What was taken for what most often; see `core.evaluation.metrics.confused_pairs`."""
    report = found["report"]
    return confused_pairs(np.asarray(report["confusion"]), report["classes"], _MOST_PAIRS)


def keep(run: Run, found: Found) -> None:
    """Keep what was found without a job, as one of `results`."""
    write_json(run.folder / f"{_ANSWER}{found['dataset']}.json", {**found, "model": model_stamp(run)})


def evaluate_on_dataset(
    run: Run,
    dataset: Dataset,
    given: Mapping[str, str | None],
    most: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Found:
    """Classify what is new to the run among the dataset's images, and work out the same figures as of a test split.

    Args:
        given: which class a label means, where the names do not say so; see `checked_mapping`.
        most: images at most, spread evenly over the dataset; 0 for all.

    Returns:
        dataset, name, version; mapping; asked: images that can be read and were not excluded; unmapped, seen, alike,
        sampled, changed: left out, in this order: as their label is no class, as the run has learned from them or
        their company, as they look like one it learned from, as they were not drawn, as the file is not what was
        indexed; left_out: these in words; report: `core.evaluation.report.build_report`. The answers themselves are
        kept in the run's folder; see `answers_on`.

    Raises:
        Cancelled: `should_stop` said so.
        DarkroomError: no model, no images left, or the images' folder is gone.
    """
    bundle = read_bundle(run.bundle)
    if not dataset.root.is_dir():
        raise DarkroomError(f"The dataset's folder {dataset.root} is no longer there.", "Put it back and try again.")
    rows = usable(with_all_columns(dataset.manifest())).reset_index(drop=True)
    mapping = checked_mapping(given, sorted(rows["label"].unique()), bundle.classes)
    left: dict[str, int] = {}

    def without(reason: str, out: np.ndarray) -> None:
        nonlocal rows
        left[reason] = int(out.sum())
        rows = rows[~out].reset_index(drop=True)

    asked = len(rows)
    without("unmapped", rows["label"].map(mapping).isna().to_numpy())
    learned = run.manifest()
    without("seen", seen_by(learned, run.config.split, rows["content_hash"]))
    without("alike", looks_learned(learned, rows))
    drawn = np.ones(len(rows), bool)
    if 0 < most < len(rows):
        drawn[:] = False
        drawn[np.linspace(0, len(rows) - 1, most).round().astype(int)] = True
    without("sampled", ~drawn)
    without("changed", ~is_unchanged(dataset.root, rows))
    if rows.empty:
        raise InputError(
            f"None of the {count(asked, 'image')} of {dataset.name} can be used: {_left_out(left)}.",
            "Choose a dataset with images that are new to the run.",
        )
    classifier = open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx")
    frame = rows.assign(label=rows["label"].map(mapping), split="test")
    result = predict_manifest(classifier, dataset.root, frame, ("test",), on_progress, should_stop)
    if result is None:
        raise Cancelled("Cancelled.")
    table, skipped = result
    folder = _folder(run, dataset.id)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_predictions(folder, plain(table))
    return {
        "dataset": dataset.id,
        "name": dataset.name,
        "version": dataset.fingerprint,
        "mapping": mapping,
        "asked": asked,
        **left,
        "left_out": _left_out(left),
        "report": build_report(table, bundle.classes, skipped),
    }


def looks_learned(learned: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """Which of these images look the same as one the run was trained or validated on, as bool.

    Args:
        learned: the run's manifest, with the split it used.
        rows: images asked about; columns of a manifest.
    """
    known = usable(with_all_columns(learned))
    known = known[known["split"].isin(["train", "val"])]
    if known.empty or rows.empty:
        return np.zeros(len(rows), bool)
    both = pd.concat([known[_COMPARED], rows[_COMPARED]], ignore_index=True)
    groups = near_groups(exact_groups(both["content_hash"]), find_alike(both))
    of_learned, asked = groups[: len(known)], groups[len(known) :]
    return (asked >= 0) & np.isin(asked, of_learned)


def main(run_folder: Path, dataset_id: str) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, Found]:
        dataset = open_dataset(Workspace.default(), dataset_id)
        status.update(phase="evaluating", message=f"Classifying images of {dataset.name}.")
        mapping, most = request.get("mapping", {}), int(request.get("most", 0))
        found = evaluate_on_dataset(run, dataset, mapping, most, meter(status), lambda: status.stop_requested)
        return headline(found), found

    return on_dataset_job(dataset_id).carry_out(run, work)


def headline(found: Found) -> str:
    """The result in a sentence."""
    return f"{found['name']}: {found['report']['headline'].replace('test image', 'image')}"


def _folder(run: Run, dataset_id: str) -> Path:
    return run.folder / FOLDER / Workspace.default().dataset(dataset_id).name


def _left_out(left: Mapping[str, int]) -> str:
    reasons = {
        "unmapped": "as their label is none of the model's classes",
        "seen": "as the run has learned from them, their copies or others of their group",
        "alike": "as they look the same as one it has learned from",
        "sampled": "as only a part was asked for",
        "changed": "as their files changed since they were indexed, or are gone",
    }
    said = [f"{count(left[name])} left out {reason}" for name, reason in reasons.items() if left.get(name)]
    return "; ".join(said) or "none left out"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
