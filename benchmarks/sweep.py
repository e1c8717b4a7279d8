"""A sweep of 20 trials on Digits with pruning, killed in the middle and gone on with, against the preset it began with.

    python benchmarks/sweep.py [--preset transfer] [--trials 20] [--kill-after 8]

The sweep's process is killed (SIGKILL) once so many trials are over; the same command line goes on. It must lose no
finished trial. Whether the best trial is better than the preset is said by the test images, which no choice was made
by. One JSON line a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from core.jobs import read_status  # noqa: E402
from core.sweeps.results import TrialRow, num_done  # noqa: E402
from core.sweeps.store import Sweep  # noqa: E402

NAME = "bench"
SPACE = (
    "optim.learning_rate=1e-4..1e-1:log",
    "optim.weight_decay=1e-5..1e-1:log",
    "model.dropout=0..0.6",
    "model.head_units=0,64,256",
    "optim.batch_size=16,32,64",
)


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="transfer")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kill-after", type=int, default=8, help="trials that are over; 0: never")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder) / "home", options)


def _measure(home: Path, options: argparse.Namespace) -> None:
    sweep = Sweep(NAME, home / "sweeps" / NAME)
    began = time.monotonic()
    before: list[TrialRow] = []
    searched = [part for one in SPACE for part in ("--search", one)]
    command = ["--data", "digits", "--preset", options.preset, "--trials", str(options.trials), *searched]
    if options.kill_after:
        with _sweep(home, *command) as first:
            while not sweep.trials() or num_done(sweep.trials()) < options.kill_after:
                time.sleep(0.1)
            worker = read_status(sweep.workers()[0])
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            first.wait()
        before = [row for row in sweep.trials() if row.over]
        _print(measurement="killed", trials_over=num_done(before), seconds=round(time.monotonic() - began, 1))
        command = []
    with _sweep(home, *command) as second:
        out, _ = second.communicate()
    result = json.loads(out.splitlines()[-1])
    rows = {row.number: row for row in sweep.trials()}
    _print(
        measurement=f"sweep of {options.trials} trials on Digits from {options.preset}",
        seconds=round(time.monotonic() - began, 1),
        lost_trials=sum(rows.get(row.number) != row for row in before),
        **{key: result[key] for key in ("state", "num_trials", "num_pruned", "num_failed", "verdict", "importance")},
        best=result["best"],
        start=result["start"],
        epochs_run=sum(len(row.curve) for row in rows.values()),
    )


def _sweep(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "core", "sweep", "--name", NAME, "--json", *arguments]
    environment = {**os.environ, "DARKROOM_HOME": str(home)}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)


def _print(**measured: Any) -> None:
    print(json.dumps(measured, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
