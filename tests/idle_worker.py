"""Program: a worker that computes nothing, and imports nothing that takes long; see `tests.standing_in`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from core import jobs
from core.files import append_jsonl, read_jsonl

END = "end"  # a file in the run's folder: it finishes
DEAF = "deaf"  # another: it heeds no request to stop, and has a child, whose number it writes there
TRACE = "trace.jsonl"  # in the workspace: a line for each that began


def _work(folder: Path) -> None:
    trace = folder.parent.parent / TRACE
    me = jobs.identify(os.getpid())
    assert me is not None
    others = sum(jobs.ProcessIdentity(row["pid"], row["start_time"]).is_alive() for row in read_jsonl(trace))
    about = {"run": folder.name, "pid": me.pid, "start_time": me.start_time, "others": others}
    append_jsonl(trace, about | {"visible": os.environ.get("CUDA_VISIBLE_DEVICES")})
    deaf = (folder / DEAF).exists()
    with jobs.StatusWriter(folder) as status:
        if deaf:
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (folder / DEAF).write_text(json.dumps(child.pid))
        status.update(message="Standing in.", extra={"epoch": 1})
        while not (folder / END).exists():
            if status.stop_requested and not deaf:
                status.update(state="stopped", message="Stopped as asked.")
                return
            time.sleep(0.02)
        status.update(state="finished", message="Done.")


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
