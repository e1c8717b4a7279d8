"""Evaluate: how good is this model on images it has never seen?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.runs.store import list_runs
from core.wording import count, percent, percent_interval
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.evaluate import (
    classes,
    confusion,
    curves,
    diagnosis,
    fixes,
    hand_over,
    mistakes,
    numbers,
    other_data,
    ranking,
    robustness,
    saliency,
    slices,
    trust,
    two_classes,
)
from pages._components.evaluate.view import View
from pages._components.labels import run_labels
from pages._components.provenance import provenance
from pages._components.text import escape

VIEWS = [
    View("Numbers", numbers.draw),
    View("Diagnosis", diagnosis.draw),
    View("Confusion", confusion.draw),
    View("Classes", classes.draw),
    View("ROC and precision", ranking.draw),
    View("Threshold", two_classes.draw, two_classes.fits),
    View("Mistakes", mistakes.draw),
    View("Training curves", curves.draw),
    View("When to trust it", trust.draw),
    View("Where it is worse", slices.draw, slices.has_test_images),
    View("Spoiled images", robustness.draw, slices.has_test_images),
    View("Where it looks", saliency.draw, slices.has_test_images),
    View("Other data", other_data.draw),
    View("Hand it over", hand_over.draw, slices.has_test_images),
]


def _headline(report: dict[str, Any]) -> None:
    low, high = report["test_accuracy_interval"] or (None, None)
    with st.container(horizontal=True, key="figures"):
        accuracy = percent_interval(report["test_accuracy"], low, high)
        st.metric("Test accuracy, 95 % interval", accuracy, width="content")
        st.metric("Validation accuracy", percent(report["val_accuracy"]), width="content")
        st.metric("Always the commonest class", percent(report["majority_baseline"]), width="content")
        st.metric("Test images", count(report["num_test"]), width="content")
    if report["skipped"]:
        with st.expander(f"{count(len(report['skipped']), 'image')} could not be read and were left out"):
            st.dataframe(pd.DataFrame(report["skipped"]), hide_index=True)


st.title("How good is this model?")
runs = [run for run in list_runs(Workspace.default()) if readers.was_evaluated(run)]
if not runs:
    st.info("This page shows how a trained model does on images it has never seen. No run has been evaluated yet.")
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Run", [run.id for run in runs], keys.RUN, run_labels(runs))
    query = {keys.RUN: chosen}
    st.page_link(keys.CLASSIFY, label="Classify with it", icon=":material/image_search:", query_params=query)
    st.page_link(keys.EXPORT, label="Export it", icon=":material/deployed_code:", query_params=query)
    st.page_link(keys.TRAIN, label="Its training", icon=":material/model_training:", query_params=query)
run = next(one for one in runs if one.id == chosen)
report = readers.report(run)
st.markdown(escape(report["headline"]))
_headline(report)
provenance(run, report)
fixes.draw(run)
views = {view.title: view for view in VIEWS if view.fits(report)}
titles = list(views)
shown = st.segmented_control("Show", titles, required=True, **keys.linked(keys.VIEW, keys.one_of(titles), titles[0]))
views[shown].draw(run, report)
