"""What the Compare page reads again and again, kept for all sessions until a file changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation.again_on import RESULT, again_folder
from core.evaluation.comparison import Difference, compare, per_class_differences
from core.evaluation.pairing import Pairing, pair_runs
from core.evaluation.predictions import PREDICTIONS
from core.evaluation.same_test import answers_of
from core.runs.series import num_training_images
from core.runs.store import MANIFEST, METRICS, Run
from core.workspace import Workspace

Stamp = tuple[int, int]


def pairing(a: Run, b: Run) -> Pairing:
    """A and B on the same test images; see `core.evaluation.pairing.pair_runs`."""
    return _pairing(str(a.folder), str(b.folder), _stamps(a, b), a, b)


def difference(a: Run, b: Run) -> Difference:
    """See `core.evaluation.comparison.compare`; for runs that can be compared."""
    return _difference(str(a.folder), str(b.folder), _stamps(a, b), a, b)


def class_differences(a: Run, b: Run) -> pd.DataFrame:
    """See `core.evaluation.comparison.per_class_differences`; for runs that can be compared."""
    return _classes(str(a.folder), str(b.folder), _stamps(a, b), a, b)


def history(run: Run) -> list[dict[str, Any]]:
    """The run's epochs so far."""
    return _history(str(run.folder), _stamp(run.folder / METRICS), run)


def num_train(workspace: Workspace, run_id: str) -> int:
    """How many images the run learns from."""
    return _num_train(str(workspace.root), run_id, _stamp(workspace.run(run_id) / MANIFEST), workspace)


def _stamps(a: Run, b: Run) -> tuple[Stamp, ...]:
    files = [run.folder / name for run in (a, b) for name in (PREDICTIONS, MANIFEST)]
    return tuple(map(_stamp, [*files, again_folder(a, b) / RESULT, again_folder(b, a) / RESULT]))


@st.cache_resource(max_entries=32, show_spinner="Reading the answers")
def _pairing(a: str, b: str, stamps: tuple[Stamp, ...], _a: Run, _b: Run) -> Pairing:
    return pair_runs(_a, _b, _answers_of)


def _answers_of(run: Run) -> pd.DataFrame | None:
    stamps = _stamp(run.folder / PREDICTIONS), _stamp(run.folder / MANIFEST)
    return _answers(str(run.folder), stamps, run)


@st.cache_resource(max_entries=16, show_spinner=False)
def _answers(folder: str, stamps: tuple[Stamp, ...], _run: Run) -> pd.DataFrame | None:
    return answers_of(_run)


@st.cache_resource(max_entries=64, show_spinner=False)
def _difference(a: str, b: str, stamps: tuple[Stamp, ...], _a: Run, _b: Run) -> Difference:
    return compare(_pairing(a, b, stamps, _a, _b).rows)


@st.cache_resource(max_entries=16, show_spinner=False)
def _classes(a: str, b: str, stamps: tuple[Stamp, ...], _a: Run, _b: Run) -> pd.DataFrame:
    return per_class_differences(_pairing(a, b, stamps, _a, _b).rows)


@st.cache_resource(max_entries=64, show_spinner=False)
def _history(folder: str, stamp: Stamp, _run: Run) -> list[dict[str, Any]]:
    return _run.metrics()


@st.cache_resource(max_entries=256, show_spinner=False)
def _num_train(home: str, run_id: str, stamp: Stamp, _workspace: Workspace) -> int:
    return num_training_images(_workspace, run_id)


def _stamp(path: Path) -> Stamp:
    """Changes when the file does."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return 0, 0
    return about.st_mtime_ns, about.st_size
