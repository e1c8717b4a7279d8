"""How long Compare takes with ten runs of 100 epochs: `python benchmarks/compare.py [NUM_RUNS]`, JSON lines.

The runs are those of `benchmarks/runs.py`, written by the store's own functions and not trained, so their settings
differ a lot and all were tested on the same images. For each part of the page the whole script, frame and page, drawn
for the first time (files not read yet by this process) and again; and the statistics alone on a large test set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from runs import make_runs, say, timed  # noqa: E402

from core.evaluation.comparison import compare, per_class_differences  # noqa: E402
from core.evaluation.same_test import pair_up, why_not_the_same  # noqa: E402
from core.runs.listing import run_table  # noqa: E402
from core.workspace import Workspace  # noqa: E402

NUM_COMPARED, NUM_RERUNS = 10, 7
PARTS = ("Accuracy", "Curves", "Settings", "Classes", "Flipped images")
MANY_IMAGES, MANY_CLASSES = 50_000, 1000


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("num_runs", type=int, nargs="?", default=500)
    parser.add_argument("--home", type=Path, help="a workspace to make and keep; runs that are there are used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        home = (options.home or Path(place) / "home").resolve()
        os.environ["DARKROOM_HOME"] = str(home)
        workspace = Workspace(home)
        make_runs(workspace, options.num_runs - sum(1 for _ in workspace.runs.iterdir()))
        table = run_table(workspace)
        draw_parts(len(table), table.loc[table["test_accuracy"].notna(), "id"].head(NUM_COMPARED).tolist())
        large_test_set()


def draw_parts(num_runs: int, chosen: list[str]) -> None:
    """Each part of the page."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=300).run()
    app.query_params["runs"] = ",".join(chosen)
    app.switch_page("../compare.py")
    for part in PARTS:
        app.query_params["part"] = part
        first = timed(app.run)
        assert not app.exception, app.exception
        again = [timed(app.run) for _ in range(NUM_RERUNS)]
        say(
            f"Compare, {part}",
            num_runs=num_runs,
            compared=len(chosen),
            first_s=first,
            again_median_s=statistics.median(again),
            again_worst_s=max(again),
        )


def large_test_set() -> None:
    """Two runs on as many images and classes as ImageNet's validation set has."""
    lots = np.random.default_rng(0)
    names = [f"{number:05d}.jpg" for number in range(MANY_IMAGES)]
    labels = [f"class {number % MANY_CLASSES}" for number in range(MANY_IMAGES)]
    shared = {"path": names, "content_hash": names, "label": labels, "confidence": 0.9}
    answers = [
        pd.DataFrame(shared | {"predicted": np.where(lots.random(MANY_IMAGES) < skill, labels, "class 0")})
        for skill in (0.7, 0.72)
    ]
    say(
        "two runs, statistics alone",
        images=MANY_IMAGES,
        classes=MANY_CLASSES,
        same_images_s=timed(lambda: why_not_the_same(*answers)),
        accuracy_s=timed(lambda: compare(pair_up(*answers))),
        classes_s=timed(lambda: per_class_differences(pair_up(*answers))),
    )


if __name__ == "__main__":
    main()
