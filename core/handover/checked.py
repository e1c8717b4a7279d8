"""A report held against the run it is of: its figures worked out anew from the run's answers, and what differs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from core.errors import InputError
from core.evaluation import slices
from core.evaluation.abstention import answers, coverage_curve, with_threshold
from core.evaluation.calibration import figures_at, rescaled
from core.evaluation.metrics import class_ids, confused_pairs
from core.evaluation.predictions import read_probabilities
from core.evaluation.report import build_report
from core.evaluation.unknown import flagged
from core.handover import origins
from core.handover.document import MOST_PAIRS, Document, cells
from core.handover.failures import failures
from core.handover.page import as_html, sections_of, words_in
from core.inference.bundle import read_bundle
from core.runs.store import Run

_CLOSE = 1e-9  # relative; sums may be added up in another order on another machine
_MOST = 50


def differences(run: Run, told: Document) -> list[str]:
    """Sentences on what in the report does not come out of the run's files again; none where all of it does.

    Worked out anew from `predictions.parquet`: summary, scores, classes, confusion, mistakes, calibration, abstention,
    strange images, parts; from `manifest.parquet`: images and split. Hashes of files are compared with the files'.
    What was measured by tests of their own (speed, corruptions, maps, other data) is not there.

    Raises:
        InputError: it is a report of another run, or the run has no answers.
    """
    if told.get("run", {}).get("id") != run.id:
        raise InputError(f"This report is of run {told.get('run', {}).get('id')}.", "Name that run.")
    found = []
    files = {row["file"]: row["sha256"] for row in origins.hashes(run)}
    for row in told.get("hashes", ()):
        now = files.get(row["file"])
        if now != row["sha256"]:
            found.append(f"{row['file']} {'is gone' if now is None else 'has changed since: its SHA-256 is ' + now}.")
    found += _unlike("", again(run, told), told)
    return found[:_MOST]


def altered(content: str, told: Document) -> list[str]:
    """Sentences on which parts of an HTML report say something else than the document it holds.

    Args:
        content: the file; told: of `core.handover.page.document_in`.
    """
    there = words_in(content)
    try:
        wanted = words_in("<main>" + "".join(map(as_html, sections_of(told, {}, {}))) + "</main>")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return ["The document inside lacks parts, so the page cannot be held against it."]
    names = [*wanted, *(name for name in there if name not in wanted)]
    return [
        f"The part {name!r} does not say what this version of Darkroom would write of these figures."
        for name in names
        if there.get(name) != wanted.get(name)
    ]


def again(run: Run, told: Document) -> Document:
    """The parts of a document that the run's answers and images decide, worked out from these alone.

    Args:
        told: says which temperature and thresholds they are with, and which parts there are.
    """
    stored = read_probabilities(run.folder, None)
    if stored is None:
        raise InputError(f"Run {run.id} has no predictions.parquet.", f"python -m core evaluate {run.id}")
    rows, probabilities = stored
    classes, manifest = read_bundle(run.bundle).classes, run.manifest()
    columns = pd.DataFrame(probabilities, columns=[f"p:{name}" for name in classes])
    report = build_report(pd.concat([rows, columns], axis=1), classes, [])
    counts = np.asarray(report["confusion"])
    low, high = report["test_accuracy_interval"] or (None, None)
    names = ("test_accuracy", "val_accuracy", "majority_class", "majority_baseline", "num_test", "num_val")
    summary = {name: report[name] for name in names} | {"low": low, "high": high, "num_wrong": report["test_errors"]}
    found: Document = {
        "headline": report["headline"],
        "summary": summary,
        "metrics": report["metrics"],
        "per_class": report["per_class"],
        "confusion": {"classes": classes, "cells": cells(counts)},
        "pairs": confused_pairs(counts, classes, MOST_PAIRS).to_dict("records"),
        "failures": failures(rows),
    }
    card = origins.data_card(run, manifest)
    found["data"] = {name: card[name] for name in ("classes", "images", "unreadable", "excluded", "total_bytes")}
    found["split"] = {name: origins.division(run, manifest, {})[name] for name in ("by_class", "totals")}
    is_test = (rows["split"] == "test").to_numpy()
    test, of_test = rows[is_test].reset_index(drop=True), probabilities[is_test]
    if len(test):
        found |= _trust(told, test, of_test, classes)
        if "slices" in told:
            found["slices"] = slices.compare(slices.joined(rows, manifest))
    return found


def _trust(told: Document, test: pd.DataFrame, probabilities: np.ndarray, classes: list[str]) -> Document:
    found: Document = {}
    temperature = told.get("calibration", {}).get("temperature", 1.0)
    if "test" in told.get("calibration", {}):
        targets = class_ids(test["label"].tolist(), classes)
        after = figures_at(rescaled(probabilities, temperature), targets)
        found["calibration"] = {"test": {"before": figures_at(probabilities, targets), "after": after}}
    given = answers(test, probabilities, temperature)
    if "abstention" in told:
        found["abstention"] = {
            "targets": [
                {"test": None if row["threshold"] is None else with_threshold(*given, row["threshold"])}
                for row in told["abstention"]["targets"]
            ],
            "curve": coverage_curve(*given),
        }
    if told.get("threshold"):
        found["threshold"] = with_threshold(*given, told["threshold"]["threshold"])
    unknown = told.get("unknown")
    if unknown and unknown["measure"] in test:
        found["unknown"] = {"test": vars(flagged(test[unknown["measure"]].to_numpy(float), unknown["threshold"]))}
    return found


def _unlike(place: str, wanted: Any, given: Any) -> Iterator[str]:
    """Where `given` lacks or contradicts something of `wanted`."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            there = isinstance(given, dict) and name in given
            if there:
                yield from _unlike(f"{place}/{name}", value, given[name])
            else:
                yield f"{place[1:]}/{name} is missing."
    elif isinstance(wanted, list):
        if not isinstance(given, list) or len(given) != len(wanted):
            yield f"{place[1:]} has another number of entries."
            return
        for number, value in enumerate(wanted):
            yield from _unlike(f"{place}/{number}", value, given[number])
    elif not _same(wanted, given):
        yield f"{place[1:]} is {given!r} there and comes out as {wanted!r}."


def _same(wanted: Any, given: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (wanted, given))
    return math.isclose(wanted, given, rel_tol=_CLOSE, abs_tol=_CLOSE) if numbers else bool(wanted == given)
