"""Where a network's weights start when they are one's own: an earlier run, or a file."""

from __future__ import annotations

import streamlit as st

from core.config import Knob
from core.runs.store import list_runs
from core.workspace import Workspace
from pages._components.labels import run_labels

_RUN, _FILE = "weights-from-run", "weights-from-file"


def draw_weights_from(knob: Knob, key: str, weights: str) -> str:
    """Draw the field for `model.weights_from`, whose value is kept under `key` in the session; returns it.

    Args:
        weights: `run` lists the runs that have a model, `file` asks for a path.
    """
    runs = {run.id: run for run in list_runs(Workspace.default()) if run.has_bundle}
    now = st.session_state[key]
    if weights == "run":
        if not runs:
            st.caption("No earlier run has a model yet.")
            return ""
        st.session_state[_RUN] = now if now in runs else next(iter(runs))
        value = st.selectbox(
            "Weights from run", list(runs), format_func=run_labels(list(runs.values())), **_how(_RUN, key, knob)
        )
    else:
        st.session_state[_FILE] = "" if now in runs else now
        value = st.text_input("Weights from file", placeholder="/path/to/weights.safetensors", **_how(_FILE, key, knob))
    st.session_state[key] = value.strip()
    return st.session_state[key]


def _how(widget: str, key: str, knob: Knob) -> dict[str, object]:
    def changed() -> None:
        st.session_state[key] = st.session_state[widget]

    return {"key": widget, "on_change": changed, "help": knob.help}
