"""Comparing two runs in the browser: the verdict, the images that flipped and the way back from one, the curves."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd

from core.evaluation.comparison import compare, flips
from core.evaluation.pairing import pair_runs
from core.evaluation.predictions import PREDICTIONS
from core.evaluation.verdict import verdict
from core.runs.store import Run, open_run
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import NARROW, Server, expect

NUM_TURNED = 12


def twin_of(run: Run, home: Workspace) -> Run:
    """A copy of the run that takes a dozen of the images it had right for something else."""
    twin = home.run(f"{run.id}-twin")
    if not twin.exists():
        shutil.copytree(run.folder, twin)
        rows = pd.read_parquet(twin / PREDICTIONS)
        right = np.flatnonzero((rows["split"] == "test") & (rows["label"] == rows["predicted"]))[:NUM_TURNED]
        classes = sorted(rows["label"].unique())
        rows.loc[rows.index[right], "predicted"] = [
            classes[(classes.index(label) + 1) % len(classes)] for label in rows["label"].iloc[right]
        ]
        rows.to_parquet(twin / PREDICTIONS, index=False)
    return open_run(home, twin.name)


def test_compare_two_runs_and_look_at_what_flipped(server: Server, digits_run: Run, visit: Visit) -> None:
    twin = twin_of(digits_run, Workspace(server.home))
    rows = pair_runs(twin, digits_run).rows
    visitor = visit(server)
    visitor.open("compare", runs=f"{twin.id},{digits_run.id}")
    visitor.sees(verdict(compare(rows), "A", "B"))
    visitor.photographs("compare-accuracy")
    visitor.pick("Flipped images")
    flipped = flips(rows, "only_b")
    assert len(flipped) == NUM_TURNED
    expect(visitor.gallery("flips-gallery")).to_have_count(NUM_TURNED)
    expect(visitor.gallery("flips-gallery").first).to_contain_text(f"B: {flipped['label'].iloc[0]}")
    visitor.photograph("compare-flips")
    visitor.opens(visitor.gallery("flips-gallery").first)
    visitor.sees("Hash of its bytes")
    visitor.press("Back")
    visitor.arrives("compare")
    expect(visitor.gallery("flips-gallery")).to_have_count(NUM_TURNED)
    visitor.pick("Right in A alone (0)")
    visitor.sees("There is no such image")
    for part in ("Curves", "Settings", "Classes"):
        visitor.pick(part)
        visitor.finds_no_fault()
        visitor.photograph(f"compare-{part.lower()}")
    visitor.tab.set_viewport_size({"width": NARROW, "height": 844})
    visitor.photograph(f"compare-classes-{NARROW}")
    visitor.pick("Learning curve")
    visitor.sees(re.compile("Would more images help"))
    visitor.finds_no_fault()
