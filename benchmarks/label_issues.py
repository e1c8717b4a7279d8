"""How many planted wrong labels are found, and how many of those found were planted: `python -m benchmarks.label_issues
FOLDER [--images 2000] [--wrong 15] [--seeds 3]`.

Takes a random part of a labelled folder (hard links) into a workspace of its own, gives some images another class
by a correction, analyses, and compares what is flagged by default with what was planted. One JSON line a seed, one for
the labels as they are (where every flag may be a fault of the source: look at it), one for the mean. Features are
computed once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from core.data import analysis
from core.data.datasets import Dataset, index_path, open_dataset
from core.data.edits import relabel, undo
from core.data.manifest import usable
from core.data.sources import recognise
from core.workspace import Workspace


def main() -> None:
    """Run it and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--wrong", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DARKROOM_HOME"] = f"{place}/home"
        ws = Workspace.default()
        dataset = index_path(ws, some_of(options.folder, options.images, Path(place) / options.folder.name))
        clean = analysed(ws, dataset)
        say("labels as they are", **clean)
        found = [with_wrong_labels(ws, dataset.id, options.wrong, seed) for seed in range(options.seeds)]
        for seed, row in enumerate(found):
            say("planted", seed=seed, num_planted=options.wrong, **row)
        names = ("precision", "recall", "average_precision", "seconds")
        say("planted, mean", **{name: round(statistics.mean(row[name] for row in found), 3) for name in names})


def some_of(folder: Path, num_images: int, target: Path) -> Path:
    """A random part of a folder's images, one folder a class: hard links where the disk allows, else copies."""
    source = recognise(folder)
    rows = source.files.sample(min(num_images, len(source.files)), random_state=0)
    for number, (path, label) in enumerate(zip(rows["path"], rows["label"], strict=True)):
        there = target / label / f"{number:06d}{Path(path).suffix}"
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            there.hardlink_to(source.root / path)
        except OSError:
            shutil.copyfile(source.root / path, there)
    return target


def with_wrong_labels(ws: Workspace, dataset_id: str, num_wrong: int, seed: int) -> dict[str, Any]:
    """Plant, analyse, compare, and take the planted ones back."""
    rows = usable(open_dataset(ws, dataset_id).manifest())
    generator = np.random.default_rng(seed)
    classes = sorted(rows["label"].unique())
    chosen = rows.iloc[generator.choice(len(rows), num_wrong, replace=False)]
    wrong = [generator.choice([name for name in classes if name != label]) for label in chosen["label"]]
    for path, label in zip(chosen["path"], wrong, strict=True):
        relabel(ws, dataset_id, [path], str(label))
    result = analysed(ws, open_dataset(ws, dataset_id))
    frame = analysis.read_analysis(ws, dataset_id)
    assert frame is not None
    planted, flagged = frame["path"].isin(chosen["path"]).to_numpy(), frame["is_label_issue"].to_numpy()
    hits = int((planted & flagged).sum())
    worst = frame["label_issue_score"].to_numpy().argsort()[:num_wrong]
    for _ in range(num_wrong):
        undo(ws, dataset_id)
    return result | {
        "precision": round(hits / max(1, int(flagged.sum())), 3),
        "recall": round(hits / num_wrong, 3),
        "num_hits": hits,
        "planted_among_as_many_worst": int(planted[worst].sum()),
        "average_precision": round(float(average_precision_score(planted, -frame["label_issue_score"])), 3),
    }


def analysed(ws: Workspace, dataset: Dataset) -> dict[str, Any]:
    """Analyse by the real job and give its figures."""
    began = time.monotonic()
    analysis.start_analysis(ws, dataset)
    while not (status := analysis.analysis_status(ws, dataset.id)).ended:
        time.sleep(0.2)
    assert status.state == "finished", status
    summary = analysis.read_summary(ws, dataset.id)
    assert summary is not None and summary.accuracy is not None and summary.noise is not None
    return {
        "num_images": summary.num_images,
        "num_computed": summary.num_computed,
        "seconds": round(time.monotonic() - began, 2),
        "cross_validated_accuracy": round(summary.accuracy, 4),
        "estimated_wrong": round(summary.noise * summary.num_images, 1),
        "num_flagged": summary.num_label_issues,
    }


def say(what: str, **figures: Any) -> None:
    """One line of JSON."""
    print(json.dumps({"what": what, **figures}), flush=True)


if __name__ == "__main__":
    main()
