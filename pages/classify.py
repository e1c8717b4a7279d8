"""Classify: what is in this image?"""

from __future__ import annotations

import streamlit as st

from core.errors import DarkroomError
from core.inference.bundle import ONNX, Bundle, read_bundle
from core.runs.store import Run, list_runs, summary
from core.wording import count, percent
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.classify import batch as of_session
from pages._components.classify.results import results, what_it_means
from pages._components.classify.sources import SOURCES
from pages._components.classify.work import have_answered
from pages._components.guard import show_error
from pages._components.labels import run_labels
from pages._components.text import escape

CLASSES_NAMED = 12


def _second(runs: list[Run], first: str) -> Run | None:
    """A model to put beside the first, where one is chosen."""
    others = {one.id: one for one in runs if one.id != first and (one.bundle / ONNX).is_file()}
    if not others:
        return None
    names = run_labels(list(others.values()))
    chosen = st.selectbox(
        "Beside it",
        ["", *others],
        format_func=lambda one: names(one) if one else "No other model",
        **keys.linked(keys.WITH, keys.one_of(others), ""),
        help="A second model answers for the same images.",
    )
    return others.get(chosen)


def _explain(run: Run, error: DarkroomError) -> None:
    show_error(error)
    if read_bundle(run.bundle).onnx is None:
        st.markdown("From the command line the weights themselves can classify:")
        st.code(f"python -m core predict {run.id} IMAGE --engine torch", language="bash")


def _headline(run: Run, bundle: Bundle) -> None:
    accuracy = summary(run)["test_accuracy"]
    named = ", ".join(bundle.classes[:CLASSES_NAMED]) + (" and more" if len(bundle.classes) > CLASSES_NAMED else "")
    right = f" On its test images this model is right {percent(accuracy)} of the time." if accuracy is not None else ""
    st.markdown(f"One of {count(len(bundle.classes), 'class', 'classes')}: {escape(named)}.{right}")


workspace = Workspace.default()
st.title("What is in this image?")
runs = [run for run in list_runs(workspace) if run.has_bundle]
if not runs:
    st.info("This page classifies your own images with a trained model. No run has a model yet.")
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Model from run", [run.id for run in runs], keys.RUN, run_labels(runs))
    second = _second(runs, chosen)
    st.page_link(keys.EVALUATE, label="How good it is", icon=":material/fact_check:", query_params={keys.RUN: chosen})
run = next(one for one in runs if one.id == chosen)
asked = [run] if second is None else [run, second]
try:
    for one in asked:
        readers.classifier(one)
except DarkroomError as error:
    _explain(one, error)
    st.stop()
names = run_labels(asked)
models = [(one, read_bundle(one.bundle), names(one.id)) for one in asked]
_headline(run, models[0][1])
draw = dict(SOURCES)
source = st.segmented_control("Take images from", list(draw), default=next(iter(draw)), required=True, key="source")
draw[source](run)
if problem := of_session.said():
    show_error(problem)
batch = of_session.current(workspace)
if batch is None:
    st.caption("Each image is shown here beside its likeliest classes.")
else:
    table = have_answered(batch, asked)
    if len(table):
        results(batch, table, models)
        st.caption(what_it_means(models[0][1]))
