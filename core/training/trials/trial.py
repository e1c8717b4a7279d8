"""The frame of a trial program: reads what was asked, sets up as a run would, writes the answer; `core.runs.trials`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from core.config import parse_config
from core.errors import DarkroomError
from core.files import read_json, write_json
from core.jobs import StatusWriter, carry_out
from core.runs.trials import MANIFEST, REQUEST, RESULT
from core.training.memory import limit_to_free_memory
from core.training.setup import Setup, set_up
from core.training.watch import Stopped, Watch
from core.workspace import Workspace


def run_trial(folder: Path, what: str, work: Callable[[Setup, StatusWriter], dict[str, Any]]) -> int:
    """Carry out the trial in `folder`; gives the exit status.

    Args:
        what: begins the message of a failure nobody foresaw.
        work: gives the answer as plain values.
    """

    def answer(status: StatusWriter) -> str:
        try:
            config, manifest = parse_config(read_json(folder / REQUEST)), pd.read_parquet(folder / MANIFEST)
            (folder / MANIFEST).unlink()  # of a large set it is large, and there is one for each trial
            write_json(folder / RESULT, work(set_up(config, manifest, Workspace.default()), status))
        except Stopped as stopped:
            raise Stopped("Cancelled.") from stopped
        except DarkroomError as error:
            status.update(extra={"exit_status": error.exit_status})
            raise
        return "Done."

    limit_to_free_memory()
    return carry_out(folder, answer, (Stopped,), what)


def watch_of(status: StatusWriter) -> Watch:
    """Shows how far the work is in the trial's status, and learns there that it should end."""

    def enter(phase: str, message: str) -> None:
        if status.stop_requested:
            raise Stopped
        status.update(phase=phase, message=message, done=0, total=0)

    def meter() -> Callable[[int, int], None]:
        return lambda done, total: status.progress(done, total, unit="images")

    return Watch(enter, meter, lambda: status.stop_requested, lambda line: print(line, flush=True))
