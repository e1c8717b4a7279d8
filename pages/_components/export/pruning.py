"""Smaller by pruning: start a run that has a part of this network taken out, and what that cost and gained."""

from __future__ import annotations

import streamlit as st

from core.exports.pruning import EPOCHS, SHARES, pruned_runs, pruned_table, start_pruned
from core.runs.store import Run
from core.wording import UNKNOWN
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

_WAYS = {"channels": "Channels: smaller and faster", "weights": "Single weights: zeros, rarely faster"}
_START = "prune"


def draw_pruning(run: Run) -> None:
    """What can be chosen, and the runs that were pruned from this one."""
    workspace = Workspace.default()
    found = pruned_runs(workspace, run)
    with st.expander("Smaller by pruning", expanded=bool(found)):
        st.markdown(
            "Takes a part out of the network and lets the rest learn on, as a run of its own on the same images: "
            "evaluate, compare and export it like any other."
        )
        with st.container(horizontal=True, vertical_alignment="bottom", key="prune-start"):
            share = st.selectbox("Share to take out", SHARES, index=1, format_func="{:.0%}".format, key="prune-share")
            by = st.selectbox("What to take out", list(_WAYS), format_func=_WAYS.__getitem__, key="prune-by")
            epochs = st.number_input("Epochs to learn on", 1, 1000, EPOCHS, key="prune-epochs")
            st.button("Prune", key=_START, icon=":material/content_cut:", on_click=ask, args=(_START,))
        if asked(_START):
            with guarded():
                start_pruned(workspace, run, share, by, epochs)
                st.rerun()
        if not found:
            return
        number = st.column_config.NumberColumn
        st.dataframe(
            pruned_table(found),
            hide_index=True,
            key="pruned",
            height="content",
            placeholder=UNKNOWN,
            column_config={
                "run": st.column_config.TextColumn("Run", pinned=True),
                "share": number("Taken out", format="%.0f %%"),
                "by": "What",
                "state": "State",
                "left": number("Multiplications left", format="%.0f %%"),
                "accuracy": number("Accuracy", format="%.1f %%"),
                "change": number("Change", format="%+.2f", help="Of test accuracy, in points."),
                "smaller": number("Smaller", format="%.1f x", help="The ONNX file, as times."),
                "faster": number("Faster", format="%.2f x", help="ONNX Runtime in batches of 32, as times."),
            },
        )
        for one in found:
            if said := one.sentence():
                st.markdown(escape(f"{one.share:.0%} of the {one.by}: {said}"))
        st.page_link(
            keys.RUNS, label="Watch the newest", icon=":material/timeline:", query_params={keys.RUN: found[0].run.id}
        )
