"""Program: a process at work on a sweep whose runs are light ones, see `tests.sweeps.light_run`."""

from __future__ import annotations

import sys
from pathlib import Path

from core.runs import launch
from core.sweeps.work import main

if __name__ == "__main__":
    launch.WORKER = "tests.sweeps.light_run"
    sys.exit(main(Path(sys.argv[1]).resolve()))
