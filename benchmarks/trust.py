"""Whether confidences are honest and promises hold: `python -m benchmarks.trust FOLDER [--strangers FOLDER]
[--overconfident FOLDER] [--target 0.01]`.

Trains a head on FOLDER by the real command line with four tenths of the images each for validation and test, as a small
target takes hundreds of answers to show, and shows the model the digits that come with Darkroom, and --strangers.
With --overconfident a network is trained from scratch on 2,000 images of that folder until it knows them by heart.
One JSON line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.label_issues import some_of
from core.data.builtin import DIGITS, ensure_builtin
from core.data.datasets import index_path
from core.evaluation import strangers
from core.evaluation.abstention import choose_threshold, read_answers, with_threshold
from core.inference.bundle import note_trust
from core.runs.store import Run, open_run
from core.workspace import REPOSITORY, Workspace

HALVES = {"split.val_fraction": 0.4, "split.test_fraction": 0.4}
BY_HEART = {
    "split.val_fraction": 0.35,
    "split.test_fraction": 0.35,
    "optim.epochs": 40,
    "stop.patience": 0,
    "stop.monitor": "val_accuracy",
    "augment.shift": 0,
    "augment.zoom": 0,
    "augment.rotate_degrees": 0,
}


def main() -> None:
    """Run it and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strangers", type=Path)
    parser.add_argument("--overconfident", type=Path)
    parser.add_argument("--target", type=float, default=0.01)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["DARKROOM_HOME"] = f"{place}/home"
        ws = Workspace.default()
        ensure_builtin(ws)
        run = trained(ws, index_path(ws, options.folder).id, "transfer", HALVES)
        calibrated("head", run)
        abstained(run, options.target)
        shown = [DIGITS]
        if options.strangers:
            shown.append(index_path(ws, some_of(options.strangers, 500, Path(place) / "strangers")).id)
        for dataset_id in shown:
            refused(run, dataset_id)
        if options.overconfident:
            part = index_path(ws, some_of(options.overconfident, 2000, Path(place) / "part"))
            calibrated("by heart", trained(ws, part.id, "from-scratch", BY_HEART))


def trained(ws: Workspace, dataset_id: str, preset: str, settings: dict[str, Any]) -> Run:
    """A finished run by the command line."""
    flags = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "core", "train", "--data", dataset_id, "--preset", preset, "--json", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return open_run(ws, json.loads(done.stdout.splitlines()[-1])["run"])


def calibrated(model: str, run: Run) -> None:
    """Print what the temperature changes on the test images."""
    report = run.report() or {}
    found = report["calibration"]
    figures = {
        f"{name}_{when}": round(found["test"][when][name], 4)
        for name in ("ece", "nll", "brier")
        for when in ("before", "after")
    }
    say(
        "calibration",
        model=model,
        test_accuracy=report["test_accuracy"],
        temperature=round(found["temperature"], 3),
        reason=found["reason"],
        num_val=report["num_val"],
        num_test=report["num_test"],
        **figures,
    )


def abstained(run: Run, target: float) -> None:
    """Print the threshold for a target error, what it does to the test images, and store it."""
    answers = read_answers(run.folder, (run.report() or {})["calibration"]["temperature"])
    began = time.perf_counter()
    chosen = choose_threshold(*answers["val"], target)
    spent = time.perf_counter() - began
    effect = with_threshold(*answers["test"], chosen.threshold)
    note_trust(run.bundle, abstention_threshold=chosen.threshold, abstention_target=target)
    say(
        "abstention",
        target=target,
        threshold=chosen.threshold,
        val_answered=chosen.answered,
        val_wrong=chosen.wrong,
        bound=chosen.bound,
        **{f"test_{name}": value for name, value in effect.items()},
        holds=effect["error_low"] is not None and effect["error_low"] <= target,
        without=with_threshold(*answers["test"], None)["error"],
        choosing_ms=round(1000 * spent, 1),
    )


def refused(run: Run, dataset_id: str) -> None:
    """Show the images of another dataset and print how many get no answer, beside the run's own test images."""
    strangers.folder_of(run, dataset_id).mkdir(parents=True)
    began = time.perf_counter()
    status = strangers.main(run.folder, dataset_id)
    shown = strangers.shown(run, dataset_id)
    assert status == 0 and shown is not None and shown.strange is not None
    say(
        "strangers",
        dataset=shown.name,
        images=shown.images,
        measure=shown.measure,
        strange=shown.strange.share,
        refused=shown.refused.share,
        separation=shown.separation,
        own_test_images_called_strange=(run.report() or {})["unknown"]["test"]["share"],
        seconds=round(time.perf_counter() - began, 1),
    )


def say(what: str, **figures: Any) -> None:
    """One line of JSON."""
    print(json.dumps({"what": what, **figures}), flush=True)


if __name__ == "__main__":
    main()
