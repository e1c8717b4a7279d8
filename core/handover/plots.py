"""The figures of a report: those of the dashboard, drawn from the document and from the run's answers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from core.charts import training_curves_chart
from core.charts_conditions import robustness_chart, slices_chart
from core.charts_evaluation import confusion_chart, curves_chart, per_class_chart, scores_chart
from core.charts_trust import coverage_chart, reliability_chart
from core.evaluation.predictions import read_probabilities
from core.evaluation.roc import one_vs_rest
from core.evaluation.scores import score_table
from core.handover.document import Document, matrix
from core.handover.markup import text
from core.runs.store import Run

MOST_CURVES = 5
INK = "#1b2430"
WIDTH_ON_PAPER = 680  # pixels of 1/96 inch: A4 within its margins
Plots = dict[str, tuple[str, go.Figure]]


def plots(run: Run, told: Document) -> Plots:
    """What can be drawn of the document, by the section's own names: (what it shows, figure)."""
    found: Plots = {}
    scores = score_table(told["metrics"])
    if not scores.empty:
        found["scores"] = ("Scores of the test images with 95 % intervals", scores_chart(scores[scores["is_share"]]))
        found["confusion"] = (
            "Confusion matrix, rows the true class, columns the answer",
            _still(confusion_chart(matrix(told), told["confusion"]["classes"], "rows")),
        )
        found["classes"] = ("Precision, recall and F1 of each class", per_class_chart(pd.DataFrame(told["per_class"])))
        found |= _curves(run, told)
    if test := told.get("calibration", {}).get("test"):
        fitted = told["calibration"]["reason"] is None
        after = test["after"]["reliability"] if fitted else None
        figure = reliability_chart(test["before"]["reliability"], after)
        found["reliability"] = ("Share right by confidence, beside the even line", figure)
    if curve := told.get("abstention", {}).get("curve"):
        chosen = told["threshold"]
        figure = coverage_chart(curve, None if chosen is None else chosen["target"], chosen)
        found["coverage"] = ("Error among the answers by share of images answered", figure)
    if rows := told.get("slices", {}).get("rows"):
        figure = slices_chart(rows, told["summary"]["test_accuracy"])
        found["slices"] = ("Accuracy of each part of the test images, the worst first", figure)
    if told["robustness"] is not None:
        found["robustness"] = ("Accuracy by severity of corruption", robustness_chart(told["robustness"]["rows"]))
    history = told["training"]["history"]
    if history:
        found["loss"] = ("Training and validation loss by epoch", training_curves_chart(history, "loss"))
        found["accuracy"] = ("Training and validation accuracy by epoch", training_curves_chart(history, "accuracy"))
    return found


def drawn(name: str, alt: str, figure: go.Figure) -> str:
    """A figure as HTML that `script` brings to life."""
    figure.update_layout(
        font={"family": "system-ui, sans-serif", "color": INK, "size": 13},
        title={"font": {"size": 16}, "subtitle": {"font": {"size": 12}}},
        autosize=True,
    )
    body = plotly.io.to_html(
        figure,
        include_plotlyjs=False,
        full_html=False,
        div_id=f"plot-{name}",
        config={"displaylogo": False, "responsive": True, "displayModeBar": False},
    )
    return f'<figure role="img" aria-label="{text(alt)}">{body}</figure>'


def script() -> str:
    """Plotly itself, as the content of a script element: a report must not fetch it from anywhere."""
    return str(get_plotlyjs())


def _curves(run: Run, told: Document) -> Plots:
    """ROC and precision-recall of the classes with the smallest area."""
    areas = {row["label"]: row["auc"] for row in told["per_class"] if row.get("auc") is not None}
    names = sorted(areas, key=lambda name: areas[name])[:MOST_CURVES]
    read = read_probabilities(run.folder, "test", names) if names else None
    if read is None:
        return {}
    rows, probabilities = read
    found: dict[str, Any] = {}
    for place, name in enumerate(names):
        curves = one_vs_rest(probabilities[:, place], (rows["label"] == name).to_numpy())
        if curves is not None:
            found[name] = curves
    points = {name: curves.points for name, curves in found.items()}
    shares = {name: curves.share for name, curves in found.items()}
    return {
        "roc": (f"ROC curves of {len(found)} classes, each against the rest", curves_chart(points, shares, "roc")),
        "precision": (
            f"Precision-recall curves of {len(found)} classes, each against the rest",
            curves_chart(points, shares, "pr"),
        ),
    }


def _still(figure: go.Figure) -> go.Figure:
    """Without what only a click in the dashboard needs, and with the counts in the cells where there is room."""
    figure.update_layout(title={"subtitle": {"text": ""}})
    return figure
