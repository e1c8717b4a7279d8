"""The command-line verbs that compare runs, repeat one over seeds and draw its learning curve; see `core.__main__`."""

from __future__ import annotations

import argparse
import string
import time
from dataclasses import asdict
from typing import Any

import pandas as pd

from core.errors import InputError
from core.runs.listing import run_table
from core.runs.series import (
    SHARES,
    Series,
    learning_curve,
    measured,
    members,
    num_training_images,
    repeat,
    still_to_come,
)
from core.runs.store import Run, open_run
from core.terminal import say
from core.verbs_training import AddVerb, Result
from core.wording import count, percent, percent_interval
from core.workspace import Workspace

POLL_S = 1.0
MOST = 10


def add_verbs(verb: AddVerb) -> None:
    """Add them to the command line.

    Args:
        verb: makes a verb of a name, what it does and its help.
    """
    comparing = verb("compare", _compare, "Say whether runs differ, image by image, on the same test images.")
    comparing.add_argument("runs", nargs="+", metavar="RUN", help="the first is what the others are compared with")
    comparing.add_argument(
        "--test-again",
        action="store_true",
        help="first test runs that had other test images on those of the first run",
    )
    seeds = verb("repeat", _repeat, "Repeat a run with other seeds, to see how much luck moves its result.")
    seeds.add_argument("run")
    seeds.add_argument("--seeds", type=int, default=4, help="how many more (default: 4)")
    curve = verb("learning-curve", _curve, "Train a run again on parts of its images: would more images help?")
    curve.add_argument("run")
    shares = ", ".join(f"{share:g}" for share in SHARES)
    curve.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help=f"parts (default: {shares})")
    curve.add_argument("--repeats", type=int, default=1, help="runs of each part, each with another seed (default: 1)")
    for sub in (seeds, curve):
        sub.add_argument("--detach", action="store_true", help="return at once; the runs wait for their turn")


def _compare(options: argparse.Namespace) -> Result:
    from core.evaluation.again_on import evaluate_on
    from core.evaluation.comparison import against_one, compare
    from core.evaluation.pairing import pair_runs
    from core.evaluation.verdict import verdict, verdict_of_many

    workspace = Workspace.default()
    runs = [open_run(workspace, name) for name in dict.fromkeys(options.runs)]
    if not 2 <= len(runs) <= MOST:
        raise InputError(f"{count(len(runs), 'run')} cannot be compared.", f"Name 2 to {MOST} different ones.")
    letters = dict(zip(string.ascii_uppercase, runs, strict=False))
    reference, others = runs[0], {letter: run for letter, run in letters.items() if letter != "A"}
    pairs: dict[str, pd.DataFrame] = {}
    notes: dict[str, str] = {}
    for letter, run in others.items():
        pairing = pair_runs(reference, run)
        if not pairing.is_possible and options.test_again:
            evaluate_on(run, reference, lambda done, total: None, lambda: False)
            pairing = pair_runs(reference, run)
        if not pairing.is_possible:
            raise InputError(
                f"{run.id} cannot be compared with {reference.id}: {pairing.why_not}",
                "Add --test-again to test it on the same images.",
            )
        pairs[letter], notes[letter] = pairing.rows, pairing.note
    for letter, run in letters.items():
        report = run.report() or {}
        low, high = report.get("test_accuracy_interval") or (None, None)
        say(options, f"{letter}: {run.id}, {percent_interval(report.get('test_accuracy'), low, high)}")
    for note in filter(None, notes.values()):
        say(options, note)
    found = {letter: compare(pair) for letter, pair in pairs.items()}
    table = against_one(found)
    said = verdict(found["B"], "A", "B") if len(found) == 1 else verdict_of_many(table, "A")
    say(options, said)
    rows = table.assign(id=[letters[letter].id for letter in table["run"]]).to_dict("records")
    return {"verdict": said, "reference": reference.id, "runs": rows, "notes": notes}, 0


def _repeat(options: argparse.Namespace) -> Result:
    from core.runs.spread import spread

    workspace = Workspace.default()
    run = open_run(workspace, options.run)
    series = repeat(workspace, run, options.seeds)
    rows = _awaited(workspace, series, options)
    done = measured(rows)
    found = spread(done["test_accuracy"].tolist())
    if found is not None and not options.detach:
        say(options, found.sentence())
    return _told(series, rows) | {"spread": None if found is None else asdict(found)}, 0


def _curve(options: argparse.Namespace) -> Result:
    from core.data.splits import take_share
    from core.runs.more_images import forecast

    workspace = Workspace.default()
    run: Run = open_run(workspace, options.run)
    series = learning_curve(workspace, run, take_share, options.shares, options.repeats)
    rows = _awaited(workspace, series, options)
    rows = rows.assign(images=[num_training_images(workspace, run_id) for run_id in rows["id"]])
    done = measured(rows)
    found = forecast(done["images"].tolist(), done["test_accuracy"].tolist(), done["num_test"].tolist())
    if not options.detach:
        for row in done.itertuples():
            say(options, f"{count(row.images, 'training image')}: {percent(row.test_accuracy)}")
        if found is not None:
            say(options, found.sentence())
    told = _told(series, rows)
    if found is None:
        return told | {"forecast": None}, 0
    figures = {name: value for name, value in asdict(found).items() if name != "curve"}
    return told | {"forecast": figures | {"sentence": found.sentence()}}, 0


def _awaited(workspace: Workspace, series: Series, options: argparse.Namespace) -> pd.DataFrame:
    """The group's runs once all have ended; at once where nobody waits for them."""
    say(options, f"Group {series.tag}.")
    while True:
        rows = members(run_table(workspace), series)
        if options.detach or not still_to_come(rows):
            return rows
        time.sleep(POLL_S)


def _told(series: Series, rows: pd.DataFrame) -> dict[str, Any]:
    known = rows[["id", "state", "share", "seed", "test_accuracy"]].astype(object)
    return {"group": series.tag, "runs": known.where(known.notna(), None).to_dict("records")}
