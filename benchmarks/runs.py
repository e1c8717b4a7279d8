"""How the list of runs bears hundreds: `python benchmarks/runs.py [NUM_RUNS]` prints one JSON line a figure.

Runs on Digits with 100 epochs each are written by the store's own functions, with a report, predictions of the test
split and a checkpoint of some size, but nothing is trained. Figures: the table of runs read for the first time and
again; the Runs page drawn first and again; and what deleting gives back to the disk. All in a temporary workspace, or
in that of `--home`, which is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.config import build_config  # noqa: E402
from core.data.datasets import ensure_builtin  # noqa: E402
from core.data.splits import divide  # noqa: E402
from core.evaluation.predictions import probability_column, write_predictions  # noqa: E402
from core.evaluation.report import build_report  # noqa: E402
from core.files import append_jsonl, write_bytes, write_json  # noqa: E402
from core.jobs import STATUS, Status  # noqa: E402
from core.runs.listing import folder_bytes, run_table  # noqa: E402
from core.runs.store import CHECKPOINT, METRICS, REPORT, TIMES, Run, create_run  # noqa: E402
from core.runs.trash import delete_runs, purge  # noqa: E402
from core.workspace import Workspace  # noqa: E402

NUM_EPOCHS, NUM_RERUNS, NUM_DELETED = 100, 9, 50
CHECKPOINT_BYTES = 200_000


def make_runs(workspace: Workspace, num_runs: int, num_epochs: int = NUM_EPOCHS) -> list[Run]:
    """Finished runs whose curves and answers are drawn from a seed; every tenth one failed."""
    dataset = ensure_builtin(workspace)
    division = divide(workspace, build_config({"data.dataset": dataset.id}))
    test = division.manifest[division.manifest["split"].isin(("val", "test"))]
    return [_make_run(workspace, number, num_epochs, division, test, dataset.id) for number in range(num_runs)]


def _make_run(
    workspace: Workspace, number: int, num_epochs: int, division: Any, images: pd.DataFrame, dataset_id: str
) -> Run:
    lots = np.random.default_rng([7, number])
    rate = float(10 ** lots.uniform(-4, -2))
    values = {"data.dataset": dataset_id, "optim.learning_rate": rate, "runtime.seed": number}
    config = build_config(values | {"optim.epochs": num_epochs}, ("quick", "transfer", "from-scratch")[number % 3])
    tags = (f"batch-{number // 50}",) if number % 2 else ()
    run = create_run(workspace, config, division.manifest, division.about(), tags)
    skill = float(lots.uniform(0.8, 0.99))
    for epoch in range(1, num_epochs + 1):
        learned = skill * (1 - np.exp(-epoch / 10)) + float(lots.normal(0, 0.004))
        row = {"train_loss": 2.3 * (1.02 - learned), "train_accuracy": learned, "val_loss": 2.3 * (1.05 - learned)}
        row |= {"val_accuracy": learned - 0.01, "learning_rate": rate, "images_per_s": 9000.0, "seconds": 0.2}
        append_jsonl(run.folder / METRICS, {"epoch": epoch} | {name: float(value) for name, value in row.items()})
    state, message = ("failed", "The images were moved.") if number % 10 == 9 else ("finished", "It finished.")
    if state == "finished":
        predictions = _answers(images, skill, lots)
        write_predictions(run.folder, predictions)
        report = build_report(predictions, sorted(images["label"].unique()), [])
        write_json(run.folder / REPORT, report | _of_data(division), durable=False)
        write_json(run.folder / TIMES, {"training": 0.2 * num_epochs, "evaluating": 1.5}, durable=False)
    write_bytes(run.folder / CHECKPOINT, lots.bytes(CHECKPOINT_BYTES), durable=False)
    status = Status(state, message, created=time.time(), heartbeat=time.time(), done=10, total=10)
    write_json(run.folder / STATUS, asdict(status), durable=False)
    return run


def _of_data(division: Any) -> dict[str, Any]:
    """What evaluation adds of the data to a report."""
    about = division.about()
    return {name: about[name] for name in ("leaks", "dataset_fingerprint", "num_edits")}


def _answers(images: pd.DataFrame, skill: float, lots: np.random.Generator) -> pd.DataFrame:
    """A table as `core.evaluation.predictions` makes it, right with a chance of about `skill`."""
    classes = sorted(images["label"].unique())
    label = pd.Index(classes).get_indexer(images["label"])
    answer = np.where(lots.random(len(images)) < skill, label, lots.integers(len(classes), size=len(images)))
    confidence = lots.uniform(0.5, 1, len(images))
    chances = np.repeat(((1 - confidence) / (len(classes) - 1))[:, None], len(classes), axis=1)
    chances[np.arange(len(images)), answer] = confidence
    rows = images[["path", "split", "label"]].reset_index(drop=True)
    rows = rows.assign(
        predicted=[classes[place] for place in answer],
        confidence=confidence,
        loss=-np.log(chances[np.arange(len(images)), label]),
    )
    return rows.assign(**{probability_column(name): chances[:, place] for place, name in enumerate(classes)})


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
        missing = options.num_runs - sum(1 for _ in workspace.runs.iterdir())
        began = time.perf_counter()
        make_runs(workspace, missing)
        say("runs written", num_runs=missing, s_per_run=(time.perf_counter() - began) / max(1, missing))
        table(workspace)
        draw_page()
        deletion(workspace)


def table(workspace: Workspace) -> None:
    """`run_table` with nothing in memory (the files may be in the system's cache), and again."""
    run_table(Workspace(workspace.root / "nothing"))  # what pandas does once
    first = timed(lambda: run_table(workspace))
    again = [timed(lambda: run_table(workspace)) for _ in range(NUM_RERUNS)]
    say(
        "table of runs",
        num_runs=len(run_table(workspace)),
        first_s=first,
        again_median_s=statistics.median(again),
        again_worst_s=max(again),
    )


def draw_page() -> None:
    """The whole script, frame and page; the first includes imports, the table was read before."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=300).run()
    first = timed(lambda: app.switch_page("../runs.py").run())
    assert not app.exception, app.exception
    times = [timed(app.run) for _ in range(NUM_RERUNS)]
    say("Runs page drawn", first_s=first, again_median_s=statistics.median(times), again_worst_s=max(times))


def deletion(workspace: Workspace) -> None:
    """Delete some runs, look that nothing is lost until they are removed for good, and how much comes back."""
    some = run_table(workspace)["id"].head(NUM_DELETED).tolist()
    promised = sum(folder_bytes(workspace.run(run_id)) for run_id in some)
    before = folder_bytes(workspace.root)
    seconds = timed(lambda: delete_runs(workspace, some))
    in_trash = folder_bytes(workspace.root)
    purging = timed(lambda: purge(workspace, 0))
    say(
        "deletion",
        num_runs=len(some),
        delete_s=seconds,
        purge_s=purging,
        bytes_promised=promised,
        bytes_given_back=before - folder_bytes(workspace.root),
        bytes_lost_before_purge=before - in_trash,
    )


def timed(work: Any) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def say(what: str, **figures: float | str) -> None:
    """One line of JSON."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


if __name__ == "__main__":
    main()
