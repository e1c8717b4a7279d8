"""What is probably wrong with a run's training or its images, each remark with its figures and with what to try.

It is silent where it is unsure: every sign is asked for at 99 %, on images the network has not learned from wherever
there are such. What holds for sound runs, and for runs with one planted fault each, is measured by
`benchmarks/diagnosis.py`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from core.evaluation.data_signs import few_images, label_noise, leak, suspicious_test
from core.evaluation.evaluated import Evaluated
from core.evaluation.fit_signs import over_fitting, under_fitting
from core.evaluation.pace_signs import learning_rate_high, learning_rate_low, still_learning
from core.evaluation.remarks import Remark, Share
from core.evaluation.training_course import Training
from core.runs.store import Run
from core.wording import count

ASKED = (
    "copies on both sides of the split",
    "test and validation images of different difficulty",
    "wrong labels",
    "too few images in a class",
    "a learning rate too high or too low",
    "training stopped too early",
    "under-fitting",
    "over-fitting",
)


def section(evaluated: Evaluated) -> dict[str, Any]:
    """`diagnosis` of the report; see `diagnose`."""
    return diagnose(evaluated.run, evaluated.manifest, evaluated.predictions, evaluated.report)


def diagnose(run: Run, manifest: pd.DataFrame, predictions: pd.DataFrame, report: dict[str, Any]) -> dict[str, Any]:
    """Everything that the figures of an evaluated run bear.

    Args:
        predictions: validation and test images, without the classes' probabilities.
        report: what `core.evaluation.report.build_report` gives, and `leaks`.

    Returns:
        sentence: the outcome in words; remarks: `Remark` as dictionaries, what spoils the figures themselves first;
        asked: what was looked for.
    """
    remarks = [asdict(remark) for remark in _remarks(run, manifest, predictions, report)]
    titles = "; ".join(remark["title"] for remark in remarks)
    sentence = (
        f"{count(len(remarks), 'remark')}: {titles}." if remarks else "Nothing is wrong that these figures would show."
    )
    return {"sentence": sentence, "remarks": remarks, "asked": list(ASKED)}


def _remarks(run: Run, manifest: pd.DataFrame, predictions: pd.DataFrame, report: dict[str, Any]) -> list[Remark]:
    config = run.config
    leaked = leak(predictions, manifest, config.split, report.get("leaks") or {})
    noise = label_noise(predictions)
    found = [
        leaked,
        None if leaked else suspicious_test(predictions),
        noise,
        few_images(predictions, manifest, report["classes"]),
    ]
    counts = predictions["label"].value_counts()
    right = int((predictions["label"] == predictions["predicted"]).sum())
    splits = manifest["split"].value_counts()
    training = Training(
        run.metrics(),
        config,
        int(splits.get("train", 0)),
        int(splits.get("val", 0)),
        Share(right, len(predictions)),
        Share(int(counts.max()) if len(counts) else 0, len(predictions)),
        predictions["loss"].to_numpy(float),
    )
    if training.rows:
        # Of these the first that holds is the reason of the others.
        pace = learning_rate_high(training) or learning_rate_low(training) or still_learning(training)
        if pace is None and noise is None:  # wrong labels are reason enough for a low training accuracy
            pace = under_fitting(training)
        found += [pace, over_fitting(training)]
    return [remark for remark in found if remark]
