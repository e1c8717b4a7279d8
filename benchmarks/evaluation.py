"""What the evaluation's figures cost and how true their intervals are: prints one JSON line a figure.

`python benchmarks/evaluation.py coverage` draws 2,000 tables each from models whose truth is known and counts how often
every 95 % interval holds it (some minutes); `rare` does so for small tables with few mistakes. `speed` writes
predictions of made-up models, 10 classes with 10,000 test images and 1,000 classes with 50,000, in a temporary
workspace and times the report and every view of the Evaluate page, first drawn and drawn again. Nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.config import build_config  # noqa: E402
from core.data.leaks import Leaks  # noqa: E402
from core.evaluation.evaluate import write_report  # noqa: E402
from core.evaluation.metrics import confusion, count_scores  # noqa: E402
from core.evaluation.predictions import (  # noqa: E402
    PREDICTIONS,
    PROBABILITY_FLOOR,
    prediction_table,
    read_probabilities,
    write_predictions,
)
from core.evaluation.scores import Figures, measure  # noqa: E402
from core.inference.bundle import write_bundle  # noqa: E402
from core.preprocess import PreprocessSpec  # noqa: E402
from core.runs.store import REPORT, Run, create_run  # noqa: E402
from core.workspace import Workspace  # noqa: E402

VIEWS = ("Numbers", "Confusion", "Classes", "ROC and precision", "Mistakes", "When to trust it")
NUM_RERUNS = 5
NUM_TABLES = 2000
SIZES = ((2, 200), (3, 300), (10, 600), (10, 2000))  # classes, test images
RARE = (  # recall and share of each class, test images
    ((0.97, 0.97), (1 / 2, 1 / 2), 150),
    ((0.95, 0.98), (1 / 3, 2 / 3), 150),
    ((0.9, 0.95, 0.97), (0.2, 0.3, 0.5), 300),
    ((0.97,) * 10, (0.1,) * 10, 300),
)
TRUTH_IMAGES, TRUTH_PARTS = 1_000_000, 10  # drawn to know the truth by


@dataclass(frozen=True)
class Drawn:
    """Test images of a made-up model."""

    true: np.ndarray
    probabilities: np.ndarray


Model = Callable[[np.random.Generator, int], Drawn]


def flawed_model(num_classes: int, sureness: float = 1.5) -> Model:
    """A model that confuses classes, knows some better than others, and is surer than it should be.

    Args:
        sureness: its logits are those of a calibrated model times this.
    """
    shares = np.linspace(1, 2, num_classes)
    shares /= shares.sum()
    skill = np.linspace(6, 3.5, num_classes)

    def draw(lots: np.random.Generator, num_images: int) -> Drawn:
        meant = lots.choice(num_classes, num_images, p=shares)
        logits = lots.normal(size=(num_images, num_classes)) * 1.5
        logits[np.arange(num_images), meant] += lots.gamma(3, skill[meant] / 3)
        calibrated = _softmax(logits)
        true = (calibrated.cumsum(axis=1) > lots.random((num_images, 1))).argmax(axis=1)
        return Drawn(true, _softmax(logits * sureness))

    return draw


def figures_of(drawn: Drawn) -> Figures:
    """What the report says of these images."""
    classes = [f"class {place}" for place in range(drawn.probabilities.shape[1])]
    answered = drawn.probabilities.argmax(axis=1)
    labels, answers = [classes[place] for place in drawn.true], [classes[place] for place in answered]
    of_true = drawn.probabilities[np.arange(len(drawn.true)), drawn.true]
    loss = -np.log(np.maximum(of_true, PROBABILITY_FLOOR))
    counts = confusion(labels, answers, classes)
    return measure(labels, answers, drawn.probabilities.max(axis=1), loss, drawn.probabilities, counts, classes)


def coverage(
    model: Model, num_images: int, num_tables: int, seed: int = 0, truth_images: int = TRUTH_IMAGES
) -> dict[str, float]:
    """How often the interval of each figure holds the figure of (nearly) endless images, 0..1."""
    lots = np.random.default_rng([seed, 1])
    parts = [figures_of(model(lots, truth_images // TRUTH_PARTS)) for _ in range(TRUTH_PARTS)]
    truth = {name: float(np.mean([part[name]["value"] for part in parts])) for name in parts[0]}
    held = dict.fromkeys(truth, 0)
    for _ in range(num_tables):
        for name, row in figures_of(model(lots, num_images)).items():
            held[name] += row["low"] <= truth[name] <= row["high"]
    return {name: times / num_tables for name, times in held.items()}


def coverage_of_rare_mistakes(
    recalls: Sequence[float], shares: Sequence[float], num_images: int, num_tables: int, seed: int = 0
) -> dict[str, float]:
    """The same for scores of counts, of classes whose mistakes are rare and fall evenly on the others."""
    num_classes = len(recalls)
    cells = np.empty((num_classes, num_classes))
    for place, recall in enumerate(recalls):
        cells[place] = (1 - recall) / (num_classes - 1)
        cells[place, place] = recall
    cells *= np.asarray(shares)[:, None]
    lots, classes = np.random.default_rng(seed), [str(place) for place in range(num_classes)]
    scores = count_scores(cells.sum(axis=1) * 1e9, cells.sum(axis=0) * 1e9, cells.diagonal() * 1e9)
    held = dict.fromkeys(scores, 0)
    for _ in range(num_tables):
        counts = lots.multinomial(num_images, cells.ravel()).reshape(cells.shape)
        true, answered = np.repeat(np.indices(cells.shape).reshape(2, -1), counts.ravel(), axis=1).astype(str)
        blank = np.full(num_images, 0.9)
        figures = measure(true.tolist(), answered.tolist(), blank, blank, None, counts, classes)
        for name in scores:
            held[name] += figures[name]["low"] <= scores[name] <= figures[name]["high"]
    return {name: times / num_tables for name, times in held.items()}


def _softmax(logits: np.ndarray) -> np.ndarray:
    spread = np.exp(logits - logits.max(axis=1, keepdims=True))
    return spread / spread.sum(axis=1, keepdims=True)


def measure_coverage(num_tables: int, sizes: Sequence[tuple[int, int]]) -> None:
    """Models of so many classes on so many test images."""
    for num_classes, num_images in sizes:
        began = time.perf_counter()
        found = coverage(flawed_model(num_classes), num_images, num_tables)
        seconds = time.perf_counter() - began
        say("coverage of 95 % intervals", classes=num_classes, images=num_images, tables=num_tables, s=seconds, **found)


def measure_rare_mistakes(num_tables: int) -> None:
    """Small tables on which most classes look flawless."""
    for recalls, shares, num_images in RARE:
        found = coverage_of_rare_mistakes(recalls, shares, num_images, num_tables)
        say("coverage where mistakes are rare", recalls=str(recalls), images=num_images, tables=num_tables, **found)


def made_up_run(workspace: Workspace, num_classes: int, num_test: int, num_val: int = 0, seed: int = 0) -> Run:
    """A run whose model is made up: its predictions and a bundle without a network, not evaluated yet."""
    classes = [f"class {place:03d}" for place in range(num_classes)]
    drawn = flawed_model(num_classes)(np.random.default_rng(seed), num_test + num_val)
    total = num_test + num_val
    rows = pd.DataFrame(
        {
            "path": [f"{number:06d}.png" for number in range(total)],
            "split": ["test"] * num_test + ["val"] * num_val,
            "label": np.array(classes, object)[drawn.true],
            "content_hash": [f"{number:016x}" for number in range(total)],
            "error": None,
            "width": 32,
            "height": 32,
        }
    )
    run = create_run(workspace, build_config({"data.dataset": "made-up"}), rows, {"leaks": asdict(Leaks())})
    spec = PreprocessSpec(32, "squash", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    write_bundle(run.bundle, {"nothing": np.zeros(1, np.float32)}, "small_cnn", classes, spec, {})
    logits = np.log(np.maximum(drawn.probabilities, 1e-30)).astype(np.float32)
    write_predictions(run.folder, prediction_table(rows, logits, classes))
    return run


def measure_speed() -> None:
    """From predictions in memory to the report on disk, then the page."""
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        os.environ["DARKROOM_HOME"] = str(Path(place) / "home")
        workspace = Workspace(Path(place) / "home")
        for num_classes, num_test in ((10, 10_000), (1000, 50_000)):
            what: dict[str, float | str] = {"classes": num_classes, "test_images": num_test}
            run = made_up_run(workspace, num_classes, num_test, num_test // 5)
            time_report(run, what)
            draw_views(run, what)


def time_report(run: Run, what: dict[str, float | str]) -> None:
    """The table written and read, and everything that is worked out from it."""
    table = pd.read_parquet(run.folder / PREDICTIONS)
    writing_s = timed(lambda: write_predictions(run.folder, table))
    reading_s = timed(lambda: read_probabilities(run.folder))
    num_bytes = (run.folder / PREDICTIONS).stat().st_size
    say("predictions", **what, write_s=writing_s, read_probabilities_s=reading_s, megabytes=num_bytes / 1e6)
    report_s = timed(lambda: write_report(run, table, []))
    say("report", **what, s=report_s, megabytes=(run.folder / REPORT).stat().st_size / 1e6)


def draw_views(run: Run, what: dict[str, float | str]) -> None:
    """Every view of the page that needs no images, first drawn and drawn again."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(REPOSITORY / "pages" / "_shell" / "main.py"), default_timeout=300).run()
    for view in VIEWS:
        app.switch_page("../evaluate.py")
        app.query_params["run"], app.query_params["view"] = run.id, view
        first = timed(app.run)
        assert not app.exception, app.exception
        times = [timed(app.run) for _ in range(NUM_RERUNS)]
        say(f"view {view}", **what, first_s=first, again_median_s=statistics.median(times), again_worst_s=max(times))


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def say(what: str, **figures: float | str) -> None:
    """One line of JSON."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["coverage", "rare", "speed"])
    parser.add_argument("--tables", type=int, default=NUM_TABLES)
    parser.add_argument("--size", type=int, nargs=2, metavar=("CLASSES", "IMAGES"), help="of coverage; else four sizes")
    options = parser.parse_args()
    if options.what == "coverage":
        measure_coverage(options.tables, [tuple(options.size)] if options.size else SIZES)
    elif options.what == "rare":
        measure_rare_mistakes(options.tables)
    else:
        measure_speed()


if __name__ == "__main__":
    main()
