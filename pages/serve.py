"""Serve: how do other programs use this model?"""

from __future__ import annotations

import streamlit as st

from core.inference.bundle import read_bundle
from core.runs.store import list_runs
from core.serving.keys import Keys
from core.workspace import Workspace
from pages._components import keys
from pages._components.guard import guarded
from pages._components.labels import run_labels
from pages._components.serve.api_keys import draw_keys
from pages._components.serve.ways import address, draw_limits, draw_warning, draw_ways

st.title("How do other programs use this model?")
workspace = Workspace.default()
runs = [run for run in list_runs(workspace) if run.has_bundle]
if not runs:
    st.info("This page shows how programs send images to a trained model and get answers. There is no model yet.")
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Model from run", [run.id for run in runs], keys.RUN, run_labels(runs))
    query = {keys.RUN: chosen}
    st.page_link(keys.EVALUATE, label="How good it is", icon=":material/fact_check:", query_params=query)
    st.page_link(keys.EXPORT, label="Take it elsewhere as files", icon=":material/deployed_code:", query_params=query)
run = next(one for one in runs if one.id == chosen)
if read_bundle(run.bundle).onnx is None:
    st.warning(
        "This model has no ONNX graph that agrees with its weights, so programs that ask for it are told so (409). "
        "Choose another run, or train it again.",
        icon=":material/error:",
    )
kept = Keys(workspace)
url, with_key = address(), bool(kept)
st.markdown(
    "They send image files to this server and get classes with confidences as JSON, by the same path as Classify. "
    + ("Each request needs a key." if with_key else "Programs on this machine are answered without a key.")
)
draw_warning(url, with_key)
draw_ways(run, url, with_key)
st.link_button("All addresses and answers", f"{url}/api/docs", icon=":material/menu_book:")
with guarded():
    draw_keys(kept)
draw_limits()
