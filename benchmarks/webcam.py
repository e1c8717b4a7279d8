"""How fast the camera on Classify is answered, end to end in a browser, with the machine at rest and beside a training.

    python benchmarks/webcam.py HOME RUN... [--train digits] [--seconds 15]

HOME is a workspace with finished runs RUN; it is copied, not changed. A real server, a real browser and its fake
camera. First with nothing beside it, then while a run trains from scratch on the dataset of `--train`. One JSON line a
model and condition: frames a second and milliseconds from taking a frame to showing its answer, as the page says them,
at the median of one look a second; with the training also its steps a second while the camera is on, and without it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from playwright.sync_api import sync_playwright  # noqa: E402

from core.config import build_config  # noqa: E402
from core.data.splits import divide  # noqa: E402
from core.runs.launch import start_run  # noqa: E402
from core.runs.store import Run, open_run  # noqa: E402
from core.workspace import Workspace  # noqa: E402
from tests.browser.conftest import CHROMIUM, FLAGS  # noqa: E402
from tests.browser.dashboard import Server, Visitor, end_runs, serving  # noqa: E402
from tests.waiting import wait_until  # noqa: E402

STAGE = ".st-key-webcam .stage"


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--train", default="digits")
    parser.add_argument("--seconds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        home = Path(place) / "home"
        for run in options.run:
            shutil.copytree(options.home / "runs" / run, home / "runs" / run)
        shutil.copytree(options.home / "datasets" / options.train, home / "datasets" / options.train)
        os.environ["DARKROOM_HOME"] = str(home)
        with serving(home) as server:
            for run in options.run:
                watch(server, run, options.seconds, None)
            training = train(Workspace(home), options.train)
            try:
                say("training alone", steps_per_s=steps_per_s(training, options.seconds))
                for run in options.run:
                    watch(server, run, options.seconds, training)
            finally:
                end_runs(home)


def train(workspace: Workspace, dataset: str) -> Run:
    """A run that goes on for longer than anybody watches, once it has ended an epoch."""
    config = build_config({"data.dataset": dataset, "optim.epochs": 1000, "stop.patience": 0}, "from-scratch")
    division = divide(workspace, config)
    run = start_run(workspace, config, division.manifest, division.about())
    wait_until(lambda: len(run.metrics()) > 0, "an epoch")
    return run


def steps_per_s(run: Run, seconds: int) -> float:
    """Of optimizer steps, over the next seconds."""
    began, done = time.perf_counter(), run.status.done
    time.sleep(seconds)
    return round((run.status.done - done) / (time.perf_counter() - began), 1)


def watch(server: Server, run_id: str, seconds: int, training: Run | None) -> None:
    """Have the camera classified by one model and say how fast that is."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visitor = Visitor(browser.new_context(permissions=["camera"]).new_page(), server)
        visitor.open("classify", run=run_id)
        visitor.pick("Live")
        visitor.press("Start camera")
        stage = visitor.tab.locator(STAGE)
        wait_until(lambda: int(stage.get_attribute("data-frames") or 0) > 10, "the first answers")
        visitor.tab.wait_for_timeout(3000)  # the page tells the rate of its last three seconds
        done, began, looks = training.status.done if training else 0, time.perf_counter(), []
        for _ in range(seconds):
            visitor.tab.wait_for_timeout(1000)
            looks.append([float(stage.get_attribute(f"data-{name}") or 0) for name in ("rate", "late")])
        took = time.perf_counter() - began
        rates, late = zip(*looks, strict=True)
        say(
            "camera beside a training" if training else "camera alone",
            architecture=open_run(Workspace(server.home), run_id).config.model.architecture,
            frames_per_s=round(statistics.median(rates), 1),
            worst_frames_per_s=round(min(rates), 1),
            latency_ms=round(statistics.median(late)),
            **({"training_steps_per_s": round((training.status.done - done) / took, 1)} if training else {}),
        )
        browser.close()


def say(measurement: str, **figures: object) -> None:
    """One JSON line, with how busy the machine was over the last minute."""
    print(json.dumps({"measurement": measurement, **figures, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
