"""Whether the diagnosis names planted faults and is silent on sound runs: `python -m benchmarks.diagnosis [--seeds 5]
[CASE...]`.

Every case is a small network really trained on the digits that come with Darkroom, in this process, with one thing
done wrong: copies on both sides of the split, flipped labels, too few images, too few epochs, a learning rate that is
far off. A seed draws split, weights and what is spoiled. One JSON line a run, then one a case.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the network is too small for more

import numpy as np
import pandas as pd

from core.config import build_config
from core.data.builtin import ensure_builtin
from core.data.datasets import index_path
from core.data.splits import divide
from core.errors import DarkroomError
from core.runs.store import Run, create_run
from core.workspace import Workspace

SMALL = {"preprocess.image_size": 16, "optim.epochs": 8, "stop.patience": 0, "runtime.device": "cpu"}
UNHELPED = {
    "augment.shift": 0,
    "augment.zoom": 0,
    "augment.rotate_degrees": 0,
    "model.dropout": 0,
    "optim.weight_decay": 0,
}
NUM_ORIGINALS, NUM_COPIES = 700, 350  # of the leaked dataset
Spoil = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


@dataclass(frozen=True)
class Case:
    """A training with one thing done wrong.

    Attributes:
        names: kinds of remarks of which one must be made; empty for a sound run, which must get none at all.
        settings: beside `SMALL` and the preset for learning from nothing.
        spoil: changes the divided manifest.
        has_copies: train on digits with copies among them, each wherever the split puts it.
    """

    names: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    spoil: Spoil = lambda rows, lots: rows
    has_copies: bool = False


def flipped(share: float) -> Spoil:
    """That share of all labels, in every split, becomes another class."""

    def spoil(rows: pd.DataFrame, lots: np.random.Generator) -> pd.DataFrame:
        classes = np.array(sorted(rows["label"].unique()), object)
        labels = rows["label"].to_numpy(object).copy()
        for place in np.flatnonzero(lots.random(len(rows)) < share):
            labels[place] = lots.choice(classes[classes != labels[place]])
        return rows.assign(label=pd.Series(labels, rows.index, dtype="str"))

    return spoil


def training_only(num_images: int, label: str | None = None) -> Spoil:
    """Only so many training images stay: of one class, the others whole, or of each."""

    def spoil(rows: pd.DataFrame, lots: np.random.Generator) -> pd.DataFrame:
        split = rows["split"].to_numpy(object).copy()
        for name in [label] if label else sorted(rows["label"].unique()):
            mine = np.flatnonzero((split == "train") & (rows["label"] == name).to_numpy())
            split[lots.permutation(mine)[num_images:]] = None
        return rows.assign(split=pd.Series(split, rows.index, dtype="str"))

    return spoil


CASES = {
    # The five of the issue.
    "sound": Case((), {"data.train_share": 0.5, "optim.epochs": 10}),
    "leaked": Case(("leak",), {"split.keep_together": "off"}, has_copies=True),
    "flipped": Case(("label_noise",), {"optim.epochs": 6}, flipped(0.1)),
    "over-fitted": Case(("over_fitting",), UNHELPED | {"optim.epochs": 20}, training_only(6)),
    "under-trained": Case(("still_learning",), {"optim.epochs": 2, "optim.learning_rate": 1e-3}),
    # More of each kind.
    "flipped 5 %": Case(("label_noise",), spoil=flipped(0.05)),
    "flipped 20 %": Case(("label_noise",), spoil=flipped(0.2)),
    "flipped: by heart": Case(("label_noise",), UNHELPED | {"optim.epochs": 30}, flipped(0.1)),
    "rare class": Case(("few_images",), spoil=training_only(6, "8")),
    "rate too low": Case(("learning_rate_low",), {"optim.epochs": 12, "optim.learning_rate": 3e-5}),
    "rate too high": Case(
        ("learning_rate_high", "under_fitting"),  # the latter where nothing at all is learned
        {"optim.epochs": 15, "optim.learning_rate": 1.0, "schedule.kind": "constant"},
    ),
    "rate far too high": Case(
        ("learning_rate_high", "under_fitting"),
        {"optim.learning_rate": 3.0, "optim.optimizer": "sgd", "schedule.kind": "constant"},
    ),
    "held back": Case(("under_fitting",), {"optim.epochs": 12, "model.dropout": 0.95}),
    "sound: all images": Case(()),
    "sound: twice as long": Case((), {"optim.epochs": 16}),
    "sound: no augmentation": Case((), UNHELPED),
    "sound: MixUp": Case((), {"augment.mixup": 0.4}),
    "sound: smoothed labels": Case((), {"optim.label_smoothing": 0.1}),
}
MUST_SHOW = tuple(CASES)[:5]


def trained(ws: Workspace, name: str, seed: int) -> Run:
    """A case, trained and evaluated as every run is.

    Raises:
        DarkroomError: it did not end well.
    """
    from core.training.worker import main  # torch takes seconds

    case, lots = CASES[name], np.random.default_rng([seed, 1])
    dataset = with_copies(ws) if case.has_copies else ensure_builtin(ws).id
    seeds = {"data.dataset": dataset, "split.seed": seed, "runtime.seed": seed}
    config = build_config(SMALL | seeds | case.settings, "from-scratch")
    division = divide(ws, config)
    run = create_run(ws, config, case.spoil(division.manifest, lots), division.about(), tags=[name])
    with open(run.folder / "log.txt", "a") as log, contextlib.redirect_stdout(log):
        main(run.folder)
    if run.status.state != "finished":
        raise DarkroomError(f"Case {name}, seed {seed}: {run.status.message}")
    return run


def with_copies(ws: Workspace) -> str:
    """The id of a dataset of some digits, half of them twice under another name; made once."""
    folder, lots = ws.root / "copies", np.random.default_rng(0)
    if not folder.exists():
        digits = ensure_builtin(ws)
        rows = digits.manifest()
        chosen = rows.iloc[lots.permutation(len(rows))[:NUM_ORIGINALS]]
        for number, row in enumerate(chosen.itertuples()):
            (folder / str(row.label)).mkdir(parents=True, exist_ok=True)
            for copy in range(1 + (number < NUM_COPIES)):
                shutil.copyfile(digits.root / str(row.path), folder / str(row.label) / f"{number}-{copy}.png")
    return index_path(ws, folder).id


def remarks(run: Run) -> list[dict[str, Any]]:
    """What the diagnosis in the run's report says."""
    return (run.report() or {})["diagnosis"]["remarks"]


def is_right(name: str, kinds: Iterable[str]) -> bool:
    """Whether these kinds of remarks are what the case asks for."""
    wanted = CASES[name].names
    return any(kind in wanted for kind in kinds) if wanted else not list(kinds)


def main() -> None:
    """Train, and say what was said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        os.environ["DARKROOM_HOME"] = str(Path(place) / "home")
        ws = Workspace.default()
        for name in options.cases:
            rights, began = 0, time.process_time()
            for seed in range(options.seeds):
                run = trained(ws, name, seed)
                kinds = [remark["kind"] for remark in remarks(run)]
                rights += is_right(name, kinds)
                accuracy = (run.report() or {})["test_accuracy"]
                say(case=name, seed=seed, wanted=CASES[name].names, said=kinds, test_accuracy=round(accuracy, 4))
            seconds = round((time.process_time() - began) / options.seeds, 1)
            say(case=name, right=rights, of=options.seeds, processor_seconds_each=seconds)


def say(**figures: Any) -> None:
    """One line of JSON."""
    print(json.dumps({"what": "diagnosis", **figures}), flush=True)


if __name__ == "__main__":
    main()
