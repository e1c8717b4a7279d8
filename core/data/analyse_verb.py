"""The command-line verb that analyses a dataset: starts the job, waits for it, gives what it found."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from core.data import analysis
from core.data.datasets import Dataset, open_dataset
from core.errors import DarkroomError
from core.jobs import Status
from core.wording import count, duration, percent
from core.workspace import Workspace

NUM_WORST = 20
POLL_S = 0.1


def analyse(options: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Analyse a stored dataset and wait for the end; Ctrl-C asks the job to stop and keep what it has."""
    ws = Workspace.default()
    dataset = open_dataset(ws, options.dataset)
    analysis.start_analysis(ws, dataset)
    status = _wait(ws, dataset, shown=sys.stderr.isatty() and not options.json)
    if status.state != "finished":
        print(f"python -m core: {status.message}", file=sys.stderr)
        return {"dataset": dataset.id, "state": status.state, "error": status.message}, 1
    result = describe(ws, dataset)
    if not options.json:
        _say(result)
    return result, 0


def describe(ws: Workspace, dataset: Dataset) -> dict[str, Any]:
    """The last analysis in figures, with the most suspicious labels, flagged or not.

    Raises:
        DarkroomError: there is none, or it is damaged.
    """
    summary, frame = analysis.read_summary(ws, dataset.id), analysis.read_analysis(ws, dataset.id)
    if summary is None or frame is None:
        raise DarkroomError(f"{dataset.name} was not analysed.", f"python -m core analyse {dataset.id}")
    worst = frame.dropna(subset="label_issue_score").nsmallest(NUM_WORST, "label_issue_score")
    return {
        "dataset": dataset.id,
        "state": "finished",
        "num_images": summary.num_images,
        "num_left_out": summary.num_left_out,
        "num_computed": summary.num_computed,
        "seconds": summary.seconds,
        "image_size": summary.image_size,
        "cross_validated_accuracy": summary.accuracy,
        "estimated_noise": summary.noise,
        "num_label_issues": summary.num_label_issues,
        "no_labels_because": summary.no_labels_because or None,
        "worst": [
            {
                "path": row.path,
                "label": row.label,
                "suggested": row.suggested_label,
                "probability": round(float(row.suggested_probability), 4),
                "score": round(float(row.label_issue_score), 4),
                "is_issue": bool(row.is_label_issue),
            }
            for row in worst.itertuples()
        ],
    }


def _wait(ws: Workspace, dataset: Dataset, shown: bool) -> Status:
    while True:
        try:
            status = analysis.analysis_status(ws, dataset.id)
            assert status is not None  # it was just started
            if shown and status.total:
                left = f", {duration(status.eta_s)} left" if status.eta_s is not None else ""
                rate = f"{status.rate:,.0f} images/s"
                print(
                    f"\r{status.phase}: {status.done:,} of {status.total:,}, {rate}{left}   ", end="", file=sys.stderr
                )
            if status.ended:
                if shown:
                    print(file=sys.stderr)
                return status
            time.sleep(POLL_S)
        except KeyboardInterrupt:
            analysis.cancel_analysis(ws, dataset.id)
            print("\nStopping; what was computed is kept.", file=sys.stderr)


def _say(result: dict[str, Any]) -> None:
    judged = result["cross_validated_accuracy"] is not None
    told = f"; {percent(result['cross_validated_accuracy'])} are told by the others" if judged else ""
    print(f"{count(result['num_images'], 'image')} in {duration(result['seconds'])}{told}.")
    print(result["no_labels_because"] or f"{count(result['num_label_issues'], 'suspicious label')}. The worst:")
    for row in result["worst"]:
        print(f"  {row['path']}: {row['label']}, rather {row['suggested']} ({percent(row['probability'])})")
