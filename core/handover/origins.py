"""Where a run's figures come from: its images and how they were divided, settings, versions, and hashes of files."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from core.config import flatten
from core.data.checks import CHECKS
from core.data.leaks import SPLITS, Leaks, count_leaks
from core.data.manifest import usable, with_all_columns
from core.data.stored import Dataset, open_dataset
from core.errors import DarkroomError
from core.evaluation.predictions import PREDICTIONS
from core.files import read_json
from core.inference.bundle import FAMILIAR, META, ONNX, WEIGHTS, Bundle
from core.runs.repeat import ENVIRONMENT, command_line, nearest_preset
from core.runs.store import BUNDLE, CONFIG, MANIFEST, METRICS, REPORT, TIMES, Run
from core.workspace import Workspace

_HASHED = (PREDICTIONS, MANIFEST, CONFIG, METRICS, REPORT, ENVIRONMENT)
_READ_AT_ONCE = 1 << 20
_MEASURES = ("width", "height", "num_bytes")
_MOST_VALUES = 12  # kinds of files that are named one by one


def data_card(run: Run, manifest: pd.DataFrame) -> dict[str, Any]:
    """What the images are, as the run had them.

    Args:
        manifest: the run's own.

    Returns:
        dataset, name, layout, source, root: of the dataset, the last four None where it is gone; version: its
        fingerprint when the run was started, version_now today's; corrections: how many were in force; classes, images
        (readable, not excluded), unreadable, excluded; total_bytes; sizes: of width, height and num_bytes the least,
        median and most; formats, modes: images by kind; checks: images by quality check that flagged them, with the
        check's title.
    """
    dataset = _dataset(run)
    about, rows = run.data(), with_all_columns(manifest)
    good = usable(rows)
    sizes = {}
    for name in _MEASURES:
        values = good[name].to_numpy(float)
        if len(values):
            sizes[name] = dict(zip(("least", "median", "most"), _spread(values), strict=True))
    flags = {check.title: int(good[f"is_{check.name}"].sum()) for check in CHECKS}
    return {
        "dataset": run.config.data.dataset,
        "name": None if dataset is None else dataset.name,
        "layout": None if dataset is None else dataset.layout,
        "source": None if dataset is None else dataset.source or str(dataset.root),
        "notes": [] if dataset is None else list(dataset.notes),
        "version": about.get("dataset_fingerprint"),
        "version_now": None if dataset is None else dataset.fingerprint,
        "corrections": about.get("num_edits"),
        "classes": int(good["label"].nunique()),
        "images": len(good),
        "unreadable": int(rows["error"].notna().sum()),
        "excluded": int((rows["excluded"].fillna(False).astype(bool) & rows["error"].isna()).sum()),
        "total_bytes": int(good["num_bytes"].sum()),
        "sizes": sizes,
        "formats": _counts(good["format"]),
        "modes": _counts(good["mode"]),
        "checks": {title: number for title, number in flags.items() if number},
    }


def division(run: Run, manifest: pd.DataFrame, report: dict[str, Any]) -> dict[str, Any]:
    """How the images were divided, and what stands on both sides.

    Returns:
        by_class: rows of label, train, val, test (images); totals of the same; settings: the group `split` of the run's
        settings; leaks: the fields of `core.data.leaks.Leaks`; sentence: these in words.
    """
    rows = usable(with_all_columns(manifest))
    table = pd.crosstab(rows["label"], rows["split"]).reindex(columns=list(SPLITS), fill_value=0)
    leaks = Leaks(**report["leaks"]) if report.get("leaks") else count_leaks(manifest, run.config.split)
    return {
        "by_class": [
            {"label": str(label)} | {name: int(table.loc[label, name]) for name in SPLITS} for label in table.index
        ],
        "totals": {name: int(table[name].sum()) for name in SPLITS},
        "settings": run.config.split.model_dump(),
        "leaks": asdict(leaks),
        "sentence": leaks.sentence(),
    }


def training(run: Run) -> dict[str, Any]:
    """How it was trained.

    Returns:
        command: repeats it; preset and changed: the settings in terms of the nearest preset; config: all of them by
        `group.field`; seed, split_seed; history: rows of `metrics.jsonl`; seconds: of each phase; environment: see
        `core.runs.repeat.environment`, None for a run of an earlier version.
    """
    config = run.config
    preset, changed = nearest_preset(config)
    return {
        "command": command_line(run),
        "preset": preset,
        "changed": changed,
        "config": flatten(config),
        "seed": config.runtime.seed,
        "split_seed": config.split.seed,
        "history": run.metrics(),
        "seconds": read_json(run.folder / TIMES) or {},
        "environment": read_json(run.folder / ENVIRONMENT),
    }


def model_card(bundle: Bundle) -> dict[str, Any]:
    """What the model is and how it takes an image; `parity` says how its ONNX graph compared with the weights."""
    return {
        "architecture": bundle.architecture,
        "head_units": bundle.head_units,
        "preprocess": bundle.spec.to_dict(),
        "preprocess_hash": bundle.spec.hash,
        "temperature": bundle.temperature,
        "abstention_threshold": bundle.abstention_threshold,
        "abstention_target": bundle.abstention_target,
        "energy_threshold": bundle.energy_threshold,
        "distance_threshold": bundle.distance_threshold,
        "num_bytes": bundle.weights.stat().st_size if bundle.weights.is_file() else None,
        "summary": bundle.summary,
        "parity": bundle.parity,
    }


def hashes(run: Run) -> list[dict[str, Any]]:
    """SHA-256 of the files that decide or hold the results: rows of file (in the run's folder), num_bytes, sha256."""
    found = []
    for name in (*_HASHED, *(f"{BUNDLE}/{one}" for one in (WEIGHTS, META, ONNX, FAMILIAR))):
        path = run.folder / name
        if path.is_file():
            found.append({"file": name, "num_bytes": path.stat().st_size, "sha256": sha256(path)})
    return found


def sha256(path: Path) -> str:
    """64 hexadecimal digits of the file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while part := stream.read(_READ_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()


def _dataset(run: Run) -> Dataset | None:
    try:
        return open_dataset(Workspace.default(), run.config.data.dataset)
    except DarkroomError:  # removed since
        return None


def _spread(values: Any) -> tuple[float, float, float]:
    series = pd.Series(values)
    return float(series.min()), float(series.median()), float(series.max())


def _counts(values: pd.Series) -> dict[str, int]:
    counts = values.fillna("unknown").astype(str).value_counts()
    named = {str(name): int(number) for name, number in counts.head(_MOST_VALUES).items()}
    rest = int(counts.iloc[_MOST_VALUES:].sum())
    return named | ({"others": rest} if rest else {})
