"""Exports runs in every format that can be made here and prints what the gate found, one JSON line an export.

`python benchmarks/exports.py RUN...` (`DARKROOM_HOME` names the workspace). Every line holds the format, the model's
size and how many times smaller than ONNX float32 it is, latency at batch 1 and throughput at batch 32 with how many
times PyTorch's and ONNX float32's that is, agreement, probability gaps and the change of accuracy in points. A last
table for people goes to standard error. Run it on an idle machine: the load is in every line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core import jobs
from core.errors import DarkroomError
from core.exports.int8 import has_vnni
from core.exports.job import make_export
from core.exports.registry import FORMATS
from core.inference.speed import SECONDS
from core.runs.store import Run, open_run
from core.workspace import Workspace

_SHOWN = ("format", "ready", "size_mb", "smaller", "latency_ms", "images_per_s", "faster", "agreement", "gap", "points")


def measure(run: Run, key: str, seconds: float) -> dict[str, Any]:
    """Make one export and tell what its gate found; `error` where it cannot be made here."""
    with tempfile.TemporaryDirectory() as aside:
        jobs.prepare(Path(aside))
        with jobs.StatusWriter(Path(aside)) as status:
            try:
                found = make_export(run, FORMATS[key], {}, status, seconds)
                status.update(state="finished")
            except DarkroomError as error:
                status.update(state="failed")
                return {"run": run.id, "format": key, "error": str(error)}
    single, batch = found["speed"]["single"], found["speed"]["batch"]
    before = found["pytorch_speed"]
    return {
        "run": run.id,
        "format": key,
        "ready": found["ready"],
        "reasons": found["reasons"],
        "notes": found["notes"],
        "size_bytes": found["size_bytes"],
        "latency_ms_p50": single["latency_ms_p50"],
        "latency_ms_p95": single["latency_ms_p95"],
        "images_per_s": batch["images_per_s"],
        "pytorch_latency_ms_p50": before["single"]["latency_ms_p50"],
        "pytorch_images_per_s": before["batch"]["images_per_s"],
        "agreement": found["agreement"],
        "max_probability_gap": found["max_probability_gap"],
        "mean_probability_gap": found["mean_probability_gap"],
        "accuracy_before": found["accuracy_before"],
        "accuracy_after": found["accuracy_after"],
        "in_float": found.get("in_float", []),
        "cores": found["cores"],
        "load": found["load"],
        "vnni": has_vnni(),
    }


def main() -> None:
    """Print a line an export, and a table at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement of speed")
    given = parser.parse_args()
    rows = []
    for name in given.runs:
        run = open_run(Workspace.default(), name)
        for key in given.formats:
            rows.append(measure(run, key, given.seconds))
            print(json.dumps(rows[-1]), flush=True)
    for name in given.runs:
        print(_table([row for row in rows if row["run"] == Path(name).name]), file=sys.stderr)


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown; ratios are to ONNX float32, or empty where that was not made."""
    plain = next((row for row in rows if row["format"] == "onnx" and "error" not in row), None)
    lines = [f"| {' | '.join(_SHOWN)} |", "|" + "---|" * len(_SHOWN)]
    for row in rows:
        if "error" in row:
            lines.append(f"| {row['format']} | {row['error']} |")
            continue
        smaller = f"{plain['size_bytes'] / row['size_bytes']:.2f}x" if plain else ""
        faster = f"{row['images_per_s'] / plain['images_per_s']:.2f}x" if plain else ""
        cells = [
            row["format"],
            "yes" if row["ready"] else "no",
            f"{row['size_bytes'] / 1e6:.2f}",
            smaller,
            f"{row['latency_ms_p50']:.2f}",
            f"{row['images_per_s']:,.0f}",
            faster,
            f"{row['agreement']:.2%}",
            f"{row['max_probability_gap']:.1e}",
            f"{100 * (row['accuracy_after'] - row['accuracy_before']):+.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
