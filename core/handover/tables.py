"""A report's figures as one table, a row each, for a spreadsheet."""

from __future__ import annotations

from typing import Any

import pandas as pd

from core.handover.document import Document

COLUMNS = ("section", "of", "figure", "value", "low", "high")
_INTERVALS = ("precision", "recall", "f1", "auc")


def figures(told: Document) -> pd.DataFrame:
    """Every figure with its interval: see `COLUMNS`; shares are 0..1, `of` says of what, empty cells are not known.

    Sections: summary, metrics, baselines, classes, confusion (figure: the class it was taken for), calibration,
    abstention, unknown, slices, robustness, other data, failures (value: the confidence), speed, split.
    """
    rows: list[dict[str, Any]] = []

    def add(section: str, of: str, figure: str, value: Any, low: Any = None, high: Any = None) -> None:
        rows.append(dict(zip(COLUMNS, (section, of, figure, value, low, high), strict=True)))

    summary = told["summary"]
    add("summary", "test", "accuracy", summary["test_accuracy"], summary["low"], summary["high"])
    add("summary", "validation", "accuracy", summary["val_accuracy"])
    for name in ("num_test", "num_wrong", "num_val"):
        add("summary", "", name, summary[name])
    for name, row in told["metrics"].items():
        add("metrics", "test", name, row["value"], row["low"], row["high"])
        for without in ("majority", "chance"):
            add("baselines", without, name, row[without])
    for row in told["per_class"]:
        for name in (*_INTERVALS, "average_precision", "support", "answers", "hits"):
            add("classes", row["label"], name, row.get(name), row.get(f"{name}_low"), row.get(f"{name}_high"))
    classes = told["confusion"]["classes"]
    for true, answered, images in told["confusion"]["cells"]:
        add("confusion", classes[true], classes[answered], images)
    for when, found in (told.get("calibration", {}).get("test") or {}).items():
        for name in ("nll", "ece", "brier", "mean_confidence"):
            add("calibration", "as trained" if when == "before" else "with the temperature", name, found[name])
    for row in told.get("abstention", {}).get("targets", ()):
        effect, of = row["test"] or {}, f"at most {row['target']:g} wrong"
        add("abstention", of, "threshold", row["threshold"])
        add("abstention", of, "coverage", effect.get("coverage"))
        add("abstention", of, "error", effect.get("error"), effect.get("error_low"), effect.get("error_high"))
    if (unknown := told.get("unknown")) and unknown["test"]:
        found = unknown["test"]
        add("unknown", "test", "called strange", found["share"], found["low"], found["high"])
    for row in told.get("slices", {}).get("rows", ()):
        add("slices", f"{row['by']}: {row['value']}", "accuracy", row["accuracy"], row["low"], row["high"])
    for row in (told["robustness"] or {}).get("rows", ()):
        of = f"{row['title']}, severity {row['severity']}"
        add("robustness", of, "accuracy", row["accuracy"], row["low"], row["high"])
    for row in told["other_data"]:
        add("other data", row["name"], "accuracy", row["accuracy"], row["low"], row["high"])
    for row in told["failures"]["rows"]:
        add("failures", row["path"], f"{row['label']} taken for {row['predicted']}", row["confidence"])
    for row in (told["speed"] or {}).get("engines", ()):
        for found in row["speeds"]:
            of = f"{row['title']}, {found['batch_size']} at once"
            for name in ("images_per_s", "latency_ms_p50", "latency_ms_p95"):
                add("speed", of, name, found[name])
    for row in told["split"]["by_class"]:
        for name in ("train", "val", "test"):
            add("split", row["label"], name, row[name])
    return pd.DataFrame(rows, columns=list(COLUMNS))
