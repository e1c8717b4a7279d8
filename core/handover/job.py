"""Make the report of a run in its three forms, as a job: `python -m core.handover.job RUN_FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from core.evaluation.side_jobs import SideJob
from core.files import write_bytes, write_csv, write_json, writing
from core.handover.document import document, stamp
from core.handover.page import page
from core.handover.tables import figures
from core.jobs import StatusWriter
from core.runs.store import Run
from core.wording import bytes_size

REPORT = SideJob("handover", "core.handover.job", "Making the report")
FOLDER = "handover"  # in the run's folder
HTML, JSON, CSV = "report.html", "report.json", "report.csv"


def made(run: Run, name: str) -> Path:
    """Where the file of that name is, once the job has made it."""
    return run.folder / FOLDER / name


def is_current(run: Run, answer: dict[str, Any]) -> bool:
    """Whether nothing that the report tells has changed since it was made; `answer` is of `REPORT.answer`."""
    return bool(answer["stamp"] == stamp(run))


def write_all(run: Run) -> dict[str, Any]:
    """Make the three files; gives made (seconds since the epoch), bytes by file, and the stamp of what they tell.

    Raises:
        DarkroomError: see `core.handover.document.document`.
    """
    of = stamp(run)
    told = document(run)
    folder = run.folder / FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    write_bytes(folder / HTML, page(run, told).encode())
    write_json(folder / JSON, told)
    write_csv(folder / CSV, figures(told))
    sizes = {name: (folder / name).stat().st_size for name in (HTML, JSON, CSV)}
    return {"made": told["made"], "bytes": sizes, "stamp": of}


def main(run_folder: Path) -> int:
    """Carry out the job; gives the exit status."""
    run = Run(run_folder.name, run_folder)

    def work(status: StatusWriter, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        status.update(phase="writing", message="Writing the report.")
        found = write_all(run)
        return f"The report is made: {bytes_size(found['bytes'][HTML])}.", found

    return REPORT.carry_out(run, work)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
