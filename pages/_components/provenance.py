"""What stands behind a test score: whether the split leaks, and which version of the dataset it is of."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.data.datasets import open_dataset
from core.data.leaks import Leaks
from core.errors import DarkroomError
from core.runs.store import Run
from core.wording import count
from core.workspace import Workspace
from pages._components.text import escape


def leak_line(leaks: Leaks) -> None:
    """Duplicates and groups of a split: a warning where some are on both sides."""
    if leaks.any_straddling:
        st.warning(escape(leaks.sentence()), icon=":material/warning:")
    else:
        st.caption(f":material/verified: {escape(leaks.sentence())}")


def provenance(run: Run, report: dict[str, Any]) -> None:
    """Beside a run's test score: leaks, and the version of the dataset it saw where that is known."""
    if report.get("leaks"):
        leak_line(Leaks(**report["leaks"]))
    else:
        st.caption("Evaluated before leaks were counted. Evaluate it again: `python -m core evaluate " + run.id + "`")
    if version := report.get("dataset_fingerprint"):
        version_line(run, version, report.get("num_edits"))


def version_line(run: Run, version: str, num_edits: int | None) -> None:
    """Which version of its dataset a run saw, and whether the dataset has changed since."""
    corrected = f" with {count(num_edits, 'correction')}" if num_edits else ""
    st.caption(f"Trained on version {escape(version)} of its dataset{corrected}. {escape(_since(run, version))}")


def _since(run: Run, version: str) -> str:
    try:
        dataset = open_dataset(Workspace.default(), run.config.data.dataset)
    except DarkroomError:
        return "The dataset is not here any more."
    if dataset.fingerprint == version:
        return "The dataset is the same today."
    return f"The dataset has changed since: it is at version {dataset.fingerprint} now. Train again to use that."
