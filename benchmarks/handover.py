"""What a report to hand over costs: prints one JSON line a figure. `python benchmarks/handover.py [--small]`

Predictions of made-up models (see `benchmarks/evaluation.py`), 10 classes with 10,000 test images and 1,000 classes
with 50,000, in a temporary workspace: seconds from the answers on disk to `report.json` and on to the HTML file, its
size, and seconds to work all its figures out again. Nothing is trained, and there are no pictures of failures, as there
are no images.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from benchmarks.evaluation import made_up_run, say, timed  # noqa: E402
from core.evaluation.evaluate import write_report  # noqa: E402
from core.evaluation.predictions import PREDICTIONS  # noqa: E402
from core.handover.checked import altered, differences  # noqa: E402
from core.handover.document import document  # noqa: E402
from core.handover.page import document_in, page  # noqa: E402
from core.handover.tables import figures  # noqa: E402
from core.runs.store import MANIFEST  # noqa: E402
from core.workspace import Workspace  # noqa: E402

SIZES = ((10, 10_000), (1000, 50_000))


def measure(workspace: Workspace, num_classes: int, num_test: int) -> None:
    """One size, from the answers to the file and back."""
    run = made_up_run(workspace, num_classes, num_test, num_test // 5)
    run.manifest().assign(num_bytes=1000, mtime_ns=0).to_parquet(run.folder / MANIFEST, index=False)
    table = pd.read_parquet(run.folder / PREDICTIONS)
    figures_s = timed(lambda: write_report(run, table, []))
    made: list[str] = []
    found: list[str] = []
    html_s = timed(lambda: made.append(page(run, document(run))))
    told = document_in(made[0])
    check_s = timed(lambda: found.extend([*differences(run, told), *altered(made[0], told)]))
    say(
        "report to hand over",
        classes=num_classes,
        test_images=num_test,
        figures_s=figures_s,
        html_s=html_s,
        check_s=check_s,
        differences=len(found),
        html_megabytes=len(made[0].encode()) / 1e6,
        csv_rows=len(figures(told)),
        load=os.getloadavg()[0],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="10 classes and 10,000 images alone")
    sizes = SIZES[:1] if parser.parse_args().small else SIZES
    with tempfile.TemporaryDirectory(prefix="darkroom-benchmark-") as place:
        os.environ["DARKROOM_HOME"] = str(Path(place) / "home")
        for num_classes, num_test in sizes:
            measure(Workspace(Path(place) / "home"), num_classes, num_test)


if __name__ == "__main__":
    main()
