"""Export: does the exported model do what the trained one does?"""

from __future__ import annotations

import streamlit as st

from core.exports import shown
from core.exports.registry import FORMATS
from core.runs.store import list_runs
from core.workspace import Workspace
from pages._components import keys
from pages._components.export.formats import draw_one, draw_table
from pages._components.export.pruning import draw_pruning
from pages._components.labels import run_labels
from pages._components.text import escape

st.title("Does the exported model do what the trained one does?")
runs = [run for run in list_runs(Workspace.default()) if run.has_bundle]
if not runs:
    st.info(
        "This page writes a trained model out for other programs and replays every test image through exactly what "
        "you will deploy, before it is called ready. There is no trained model yet."
    )
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Run", [run.id for run in runs], keys.RUN, run_labels(runs))
    known = list(FORMATS)
    key = st.selectbox(
        "Format",
        known,
        format_func=lambda one: FORMATS[one].name,
        help="What the model is written as. The table shows all of them.",
        **keys.linked(keys.FORMAT, keys.one_of(known), known[0]),
    )
    query = {keys.RUN: chosen}
    st.page_link(keys.EVALUATE, label="Its evaluation", icon=":material/fact_check:", query_params=query)
    st.page_link(keys.CLASSIFY, label="Classify with it", icon=":material/image_search:", query_params=query)
run = next(one for one in runs if one.id == chosen)
rows = shown.listed(run)
st.markdown(escape(shown.headline(rows)))
draw_table(rows)
draw_one(run, next(one for one in rows if one.format.key == key))
draw_pruning(run)
