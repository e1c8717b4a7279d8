"""Evaluate a run on another run's test images, as a job: `python -m core.evaluation.again_on RUN_FOLDER OTHER_FOLDER`.

Images the run was trained or validated on, or that belong together with such by its own rule of splitting, are left
out and counted, so that what remains is as new to it as to the other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from core import jobs
from core.config import SplitConfig
from core.data.leaks import NEEDED
from core.data.manifest import usable, with_all_columns
from core.data.probe import content_hash
from core.data.splits import held_together
from core.data.stored import open_dataset
from core.errors import DarkroomError, InputError
from core.evaluation.predictions import PREDICTIONS, predict_manifest, read_predictions, write_predictions
from core.evaluation.same_test import answers_of, with_hashes
from core.evaluation.side_jobs import start_in
from core.files import read_json, write_json, writing
from core.inference.bundle import META, read_bundle
from core.inference.classifier import open_classifier
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace

FOLDER = "on"  # in the run's own folder, so that deleting the run deletes this too
RESULT = "result.json"
TURN = "again.lock"  # in the cache: held by the one that computes
_TURN_S = 0.5


class Cancelled(Exception):
    """Somebody asked the job to end."""


@dataclass(frozen=True)
class Again:
    """A run's answers on another run's test images.

    Attributes:
        num_asked: the other's test images.
        num_seen: left out, as the run learned from them, from their copies or from others of their group.
        num_changed: left out, as the file is gone or is no longer the one the other was tested on.
        num_unreadable: left out, as they could not be read.
        stamps: of what it depends on, see `_stamps`.
    """

    num_asked: int
    num_seen: int
    num_changed: int
    num_unreadable: int
    stamps: list[int]

    def sentence(self) -> str:
        """How many images remain, and why others do not."""
        reasons = [
            (self.num_seen, "the run has learned from them, their copies or others of their group"),
            (self.num_changed, "their files changed since or are gone"),
            (self.num_unreadable, "they could not be read"),
        ]
        left = self.num_asked - sum(number for number, _ in reasons)
        said = [f"{count(number)} left out, as {reason}" for number, reason in reasons if number]
        return f"{count(left)} of {count(self.num_asked, 'test image')} compared" + "".join(f"; {one}" for one in said)


def ask(run: Run, other: Run) -> None:
    """Start the job, unless it is at work.

    Raises:
        DarkroomError: the run has no model, or the other was never tested.
    """
    read_bundle(run.bundle)
    if not (other.folder / PREDICTIONS).is_file():
        raise InputError(f"Run {other.id} has not been tested.", "Choose one that finished, or evaluate it first.")
    start_in(again_folder(run, other), RESULT, "core.evaluation.again_on", str(run.folder), str(other.folder))


def knows_classes(run: Run, other: Run) -> bool:
    """Whether the run has a model, and it knows all classes of the other's images."""
    if not run.has_bundle:
        return False
    return set((other.report() or {}).get("classes") or ()) <= set(read_bundle(run.bundle).classes)


def progress(run: Run, other: Run) -> jobs.Status | None:
    """How far the job is; None where none was started."""
    return jobs.progress_in(again_folder(run, other))


def cancel(run: Run, other: Run) -> None:
    """Ask the job to end."""
    jobs.cancel_in(again_folder(run, other))


def answered(run: Run, other: Run) -> tuple[pd.DataFrame, Again] | None:
    """The run's answers on the other's test images, as `same_test.answers_of` gives them, and what was left out.

    None where there are none yet, or the run has another model since, or the other another test.
    """
    folder = again_folder(run, other)
    raw = read_json(folder / RESULT)
    if raw is None or raw["stamps"] != _stamps(run, other):
        return None
    rows = read_predictions(folder)
    return None if rows is None else (with_hashes(rows, other), Again(**raw))


def again_folder(run: Run, other: Run) -> Path:
    """Where the job is; it may not exist yet."""
    return run.folder / FOLDER / other.id


def seen_by(manifest: pd.DataFrame, split: SplitConfig, hashes: pd.Series) -> np.ndarray:
    """Which of these images a run has learned from, or from what belongs together with them, as bool.

    Args:
        manifest: the run's, with the split it used.
        split: what its settings keep together.
        hashes: content hashes of the images asked about.
    """
    rows = usable(with_all_columns(manifest[[name for name in NEEDED if name in manifest]])).reset_index(drop=True)
    learned = rows["split"].isin(["train", "val"]).to_numpy()
    keep = split if split.keep_together != "off" else split.model_copy(update={"keep_together": "exact"})
    units = held_together(rows, keep)
    company = np.zeros(int(units.max(initial=-1)) + 1, bool)
    company[units[learned]] = True
    return hashes.isin(rows["content_hash"][company[units]]).to_numpy()


def evaluate_on(
    run: Run, other: Run, on_progress: Callable[[int, int], None], should_stop: Callable[[], bool]
) -> Again:
    """Do the job: classify what remains of the other's test images and write the answers.

    Raises:
        Cancelled: `should_stop` said so.
        DarkroomError: no model, no test images, the images' folder is gone, or labels the model does not know.
    """
    bundle, stamps, tested = read_bundle(run.bundle), _stamps(run, other), answers_of(other)
    if tested is None:
        raise InputError(f"Run {other.id} has not been tested.", "Evaluate it first.")
    root = open_dataset(Workspace.default(), other.config.data.dataset).root
    if not root.is_dir():
        raise DarkroomError(f"The dataset's folder {root} is no longer there.", "Put it back and try again.")
    manifest = other.manifest()
    rows = manifest[manifest["path"].isin(tested["path"])]
    seen = seen_by(run.manifest(), run.config.split, rows["content_hash"])
    new = rows[~seen]
    same = is_unchanged(root, new)
    if not same.any():
        raise InputError(
            f"None of the {count(len(rows), 'test image')} can be used: the run has learned from "
            f"{count(int(seen.sum()))} of them, and {count(int((~same).sum()))} changed.",
            "Compare it with a run of the same split.",
        )
    classifier = open_classifier(run.bundle, "torch" if bundle.onnx is None else "onnx")
    result = predict_manifest(classifier, root, new[same], ("test",), on_progress, should_stop)
    if result is None:
        raise Cancelled("Cancelled.")
    table, skipped = result
    folder = again_folder(run, other)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder, table)
    again = Again(len(rows), int(seen.sum()), int((~same).sum()), len(skipped), stamps)
    write_json(folder / RESULT, asdict(again))
    return again


def main(run_folder: Path, other_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run, other = Run(run_folder.name, run_folder), Run(other_folder.name, other_folder)

    def work(status: jobs.StatusWriter) -> str:
        status.update(phase="waiting", message="Waiting for another evaluation to end.")
        # Two at once would only slow each other down.
        turn = FileLock(Workspace.default().cache / TURN, poll_interval=_TURN_S)
        try:
            held = turn.acquire(cancel_check=lambda: status.stop_requested)
        except Timeout as cancelled:
            raise Cancelled("Cancelled.") from cancelled
        with held:
            status.update(phase="evaluating", message=f"Classifying the test images of {other.id}.")
            return evaluate_on(run, other, status.progress, lambda: status.stop_requested).sentence() + "."

    return jobs.carry_out(again_folder(run, other), work, (Cancelled,), "The evaluation")


def _stamps(run: Run, other: Run) -> list[int]:
    """Changes with the run's model and with the other's test."""
    return [_changed(run.bundle / META), _changed(other.folder / PREDICTIONS)]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def is_unchanged(root: Path, rows: pd.DataFrame) -> np.ndarray:
    """Whether each file still has the content the manifest says; read anew only where size or time differ."""

    def same(path: str, num_bytes: int, mtime_ns: int, known_hash: str) -> bool:
        try:
            about = os.stat(root / path)
            if (about.st_size, about.st_mtime_ns) == (num_bytes, mtime_ns):
                return True
            return content_hash((root / path).read_bytes()) == known_hash
        except OSError:
            return False

    columns = rows[["path", "num_bytes", "mtime_ns", "content_hash"]]
    return np.array([same(*row) for row in columns.itertuples(index=False)], bool)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
