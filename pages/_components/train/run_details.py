"""What a run kept beside its curves: the first batch, the starting weights that fitted, its TensorBoard files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import streamlit as st

from core.files import read_json
from core.runs.store import EVENTS, FIRST_BATCH, FIRST_LABELS, LOADED, Run
from core.wording import count
from pages._components.text import escape

_MOST_NAMED = 200  # tensors of each kind listed


def run_details(run: Run) -> None:
    """Draw what there is, each to be opened."""
    if (picture := run.folder / FIRST_BATCH).is_file():
        with st.expander("First batch", icon=":material/grid_view:", key=f"first-batch-{run.id}"):
            _first_batch(run, picture)
    if loaded := read_json(run.folder / LOADED):
        with st.expander("Starting weights", icon=":material/input:", key=f"weights-{run.id}"):
            _weights(loaded)
    if (events := run.folder / EVENTS).is_dir():
        with st.expander("TensorBoard", icon=":material/monitoring:", key=f"tensorboard-{run.id}"):
            st.caption(
                "Curves, the first batch, the confusion matrix and the settings, for TensorBoard. Open them with"
            )
            st.code(f"tensorboard --logdir {shlex.quote(str(events))}", language="bash", wrap_lines=True)


def _first_batch(run: Run, picture: Path) -> None:
    st.caption("The first images as the network got them: resized and changed, with the pixel scaling undone.")
    st.image(
        _bytes(str(picture), picture.stat().st_mtime_ns), alt="The first batch of training images", width="content"
    )
    about = read_json(run.folder / FIRST_LABELS) or {}
    labels = about.get("labels") or []
    if labels:
        st.caption(f"Row by row: {escape('; '.join(map(str, labels)))}.")


def _weights(loaded: dict[str, Any]) -> None:
    kinds = {
        "missing": ("not in it, so they start anew", "Not in it"),
        "mismatched": ("of another size, so they start anew", "Of another size"),
        "unexpected": ("in it but without a place here", "Without a place here"),
    }
    told = [f"{count(len(loaded[kind]))} {words}" for kind, (words, _) in kinds.items() if loaded.get(kind)]
    st.markdown(
        escape(f"{count(loaded['matched'], 'tensor')} of the network start from {loaded['source']}")
        + (escape(f"; {'; '.join(told)}.") if told else ".")
    )
    for kind, (_, title) in kinds.items():
        if names := loaded.get(kind):
            more = f"\n... and {count(len(names) - _MOST_NAMED)} more" if len(names) > _MOST_NAMED else ""
            st.caption(f"{title}:")
            st.code(
                "\n".join(map(str, names[:_MOST_NAMED])) + more, language=None, height=min(220, 60 + 24 * len(names))
            )


@st.cache_data(max_entries=8, show_spinner=False)
def _bytes(path: str, changed: int) -> bytes:
    return Path(path).read_bytes()
