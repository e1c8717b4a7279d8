"""Evaluate: how good is this model on images it has never seen?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core import charts
from core.evaluation.curves import fit_remark
from core.evaluation.metrics import normalise_rows
from core.evaluation.predictions import cell, mistakes
from core.runs.store import Run, list_runs
from core.wording import count, percent, percent_interval
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.confusion_grid import MOST_CLASSES, confusion_grid
from pages._components.figures import show_figure
from pages._components.guard import fragment
from pages._components.labels import run_labels
from pages._components.predicted_images import predicted_images
from pages._components.provenance import provenance
from pages._components.text import escape

VIEWS = ("Confusion", "Classes", "Mistakes", "Training curves")
CELLS = ("Counts", "Share of the true class")


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


def _pick(true: str, predicted: str) -> None:
    for parameter, value in ((keys.TRUE, true), (keys.PREDICTED, predicted), (keys.PAGE, None)):
        keys.write(parameter, value)


@fragment
def _confusion(run: Run, report: dict[str, Any]) -> None:
    classes, counts = report["classes"], np.asarray(report["confusion"])
    as_shares = st.segmented_control("Cells show", CELLS, default=CELLS[0], required=True) == CELLS[1]
    matrix = st.container()
    left, right = st.columns(2)
    free: dict[str, Any] = {"index": None, "placeholder": "Choose a class"}
    known = keys.one_of(classes)
    true = left.selectbox("True class", classes, **free, **keys.linked(keys.TRUE, known, None))
    predicted = right.selectbox("Predicted class", classes, **free, **keys.linked(keys.PREDICTED, known, None))
    picked = None if true is None or predicted is None else (true, predicted)
    with matrix:
        if len(classes) <= MOST_CLASSES:
            confusion_grid(counts, normalise_rows(counts), classes, as_shares, picked, _pick, key="confusion")
        else:
            table = pd.DataFrame(counts, index=classes, columns=classes).rename_axis("true class").reset_index()
            figure = charts.confusion_chart(counts, classes, as_shares)
            alt = "Confusion matrix, rows true class, columns predicted class"
            show_figure(figure, table, "confusion-matrix", alt, lambda at: _pick(classes[at[0]], classes[at[1]]))
    _cell_images(run, picked)


def _cell_images(run: Run, picked: tuple[str, str] | None) -> None:
    rows = readers.predictions(run)
    if picked is None or rows is None:
        st.caption("Click a cell, or choose two classes, to see its images.")
        return
    images = cell(rows, *picked)
    st.subheader(f"True {escape(picked[0])}, predicted {escape(picked[1])}: {count(len(images), 'image')}")
    predicted_images(run, images, key="cell")


def _classes(report: dict[str, Any]) -> None:
    table = pd.DataFrame(report["per_class"])
    show_figure(charts.per_class_chart(table), table, "per-class", "Precision, recall and F1 of each class")
    share = {name: table[name] * 100 for name in ("precision", "recall", "f1")}
    st.dataframe(
        table.assign(**share),
        hide_index=True,
        column_config={
            "label": st.column_config.TextColumn("Class"),
            **{
                name: st.column_config.NumberColumn(title, format="%.1f %%", help=help)
                for name, title, help in (
                    ("precision", "Precision", "Of the images answered with this class, how many belong to it."),
                    ("recall", "Recall", "Of this class's images, how many were answered with it."),
                    ("f1", "F1", "Harmonic mean of precision and recall."),
                )
            },
            "support": st.column_config.NumberColumn("Test images", format="localized"),
        },
    )


@fragment
def _mistakes(run: Run, report: dict[str, Any]) -> None:
    rows = readers.predictions(run)
    wrong = None if rows is None else mistakes(rows)
    if wrong is None or wrong.empty:
        st.markdown("No predictions are stored with this run." if wrong is None else "Not one test image is wrong.")
        return
    st.markdown(
        f"{count(len(wrong), 'test image')} of {count(report['num_test'])}, the most confident first. "
        "What the model is sure of and wrong about is often a wrong label."
    )
    predicted_images(run, wrong, key="mistakes")


def _curves(run: Run) -> None:
    history = run.metrics()
    st.markdown(escape(fit_remark(history)))
    for column, metric in zip(st.columns(2), ("loss", "accuracy"), strict=True):
        with column:
            figure = charts.training_curves_chart(history, metric)
            show_figure(figure, pd.DataFrame(history), f"curves-{metric}", f"Training and validation {metric} by epoch")


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
    st.page_link(keys.TRAIN, label="Its training", icon=":material/model_training:", query_params=query)
run = next(one for one in runs if one.id == chosen)
report = run.report() or {}
st.markdown(escape(report["headline"]))
_headline(report)
provenance(run, report)
view = st.segmented_control("Show", VIEWS, required=True, **keys.linked(keys.VIEW, keys.one_of(VIEWS), VIEWS[0]))
if view == VIEWS[0]:
    _confusion(run, report)
elif view == VIEWS[1]:
    _classes(report)
elif view == VIEWS[2]:
    _mistakes(run, report)
else:
    _curves(run)
