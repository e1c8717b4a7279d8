"""Figures for comparing runs: curves on top of each other, differences with intervals, seeds, learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go

from core.charts import MAX_BARS, PALETTE, blank_figure, display_names, row_height, with_class_rows
from core.wording import count

DASHES = ("solid", "dot")  # beyond seven runs colours come again with another dash
METRICS = {
    "val_loss": "Validation loss (nats)",
    "val_accuracy": "Validation accuracy (%)",
    "train_loss": "Training loss (nats)",
    "train_accuracy": "Training accuracy (%)",
    "learning_rate": "Learning rate",
}
By = Literal["epoch", "minutes"]
_FAINT = 0.3
_AXIS_OF_ZERO = {"line": {"color": "rgba(128,128,128,0.8)", "width": 1, "dash": "dash"}, "type": "line"}


def smoothed(values: Sequence[float | None], weight: float) -> list[float | None]:
    """Each value averaged with those before it, the one k steps back counting weight^k; gaps stay gaps.

    s_t = weight s_{t-1} + (1 - weight) y_t from s_0 = 0, divided by 1 - weight^t so that the beginning is not drawn to
    zero; the debiased exponential moving average of D. P. Kingma and J. Ba, arXiv:1412.6980.

    Args:
        weight: 0 (as measured) to below 1.
    """
    kept, seen, result = 0.0, 0, list[float | None]()
    for value in values:
        if value is None or not math.isfinite(value):
            result.append(None)
            continue
        kept, seen = weight * kept + (1 - weight) * value, seen + 1
        result.append(kept / (1 - weight**seen))
    return result


def curves_chart(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], metric: str, weight: float = 0.0, by: By = "epoch"
) -> go.Figure:
    """One figure of several runs by epoch or by time, smoothed if asked; what was measured stays as a faint line.

    Args:
        histories: rows of `metrics.jsonl` of each run by what it is called; the colours go by their order.
        metric: one of `METRICS`.
        weight: of `smoothed`; 0 draws what was measured alone.
    """
    note = f"Smoothed with weight {weight:g}; faint lines are what was measured" if weight else ""
    title = METRICS[metric]
    question = f"How does {title.partition(' (')[0].lower()} move?"
    figure = blank_figure(question, note, "Epoch" if by == "epoch" else "Minutes of training", title, 420)
    names = display_names(list(histories))
    for place, (name, rows) in enumerate(zip(names, histories.values(), strict=True)):
        values = _values(rows, metric)
        x = [row["epoch"] for row in rows] if by == "epoch" else _minutes(rows)
        line = {"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place // len(PALETTE) % 2], "width": 2}
        mode = "lines" if len(rows) > 2 else "lines+markers"
        hover = "%{y:.1f} %" if metric.endswith("accuracy") else "%{y:.3g}"
        shared = {"x": x, "mode": mode, "legendgroup": name, "name": name, "type": "scatter"}
        if weight:
            faint = {"opacity": _FAINT, "line": line | {"width": 1}, "showlegend": False, "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(y=values, **shared, **faint))
        drawn = smoothed(values, weight) if weight else values
        figure.add_trace(go.Scatter(y=drawn, line=line, hovertemplate=hover, **shared))
    figure.update_layout(hovermode="x unified", showlegend=True)
    if by == "epoch":
        longest = max(map(len, histories.values()), default=0)
        figure.update_xaxes(tickformat="d", **({"dtick": 1} if longest <= 10 else {}))
    return figure


def differences_chart(table: pd.DataFrame, reference: str) -> go.Figure:
    """How much more accurate each run is than the reference, with its interval.

    Args:
        table: run (what it is called), difference, low, high (shares, -1..1), num_images; best first.
        reference: what that run is called.
    """
    names = display_names(table["run"].tolist())
    question = f"How much better than {display_names([reference])[0]}?"
    figure = blank_figure(
        question, "95 % intervals", "Difference in test accuracy (points)", "", row_height(len(names))
    )
    _add_differences(figure, table, names, table["num_images"])
    return with_class_rows(figure, names)


def class_differences_chart(table: pd.DataFrame, a: str, b: str) -> go.Figure:
    """How each class fares in B against A, with intervals; the classes that change most where there are many.

    Args:
        table: of `core.evaluation.comparison.per_class_differences`.
        a, b: what the runs are called.
    """
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index[:MAX_BARS]
    rows = table.loc[order].sort_values(["difference", "label"], ascending=[False, True])
    note = "Recall, with 95 % intervals"
    if len(rows) < len(table):
        note += f"; the {len(rows)} of {count(len(table))} classes that change most"
    names = display_names(rows["label"].tolist())
    figure = blank_figure(
        f"Which classes does {b} do better than {a}?",
        note,
        f"Difference in recall, {b} - {a} (points)",
        "Class",
        row_height(len(names)) + 30,
    )
    _add_differences(figure, rows, names, rows["images"])
    return with_class_rows(figure, names)


def seeds_chart(table: pd.DataFrame, mean: float | None, std: float | None) -> go.Figure:
    """Test accuracy of runs that differ in their seed alone, with their mean and one standard deviation either way.

    Args:
        table: seed, test_accuracy, test_accuracy_low, test_accuracy_high (0..1).
        mean, std: of the accuracies, 0..1; None where there are too few runs.
    """
    figure = blank_figure(
        "How much does luck move it?",
        "Bars: the 95 % interval from the number of test images, which is the same for all seeds",
        "Seed",
        "Test accuracy (%)",
        380,
    )
    accuracies = 100 * table["test_accuracy"]
    figure.add_scatter(
        x=table["seed"].astype(str),
        y=accuracies,
        mode="markers",
        name="run",
        marker={"size": 11, "color": PALETTE[0]},
        error_y=_intervals(table),
        hovertemplate="seed %{x}: %{y:.1f} %<extra></extra>",
    )
    if mean is not None and std is not None:
        figure.add_hline(y=100 * mean, line={"color": PALETTE[1], "width": 2})
        figure.add_hrect(
            y0=100 * (mean - std), y1=100 * (mean + std), fillcolor=PALETTE[1], opacity=0.15, line={"width": 0}
        )
    figure.update_xaxes(type="category")
    return figure


def learning_curve_chart(table: pd.DataFrame, curve: pd.DataFrame | None) -> go.Figure:
    """Test accuracy by the number of training images, and how it would go on.

    Args:
        table: images (trained on), test_accuracy, test_accuracy_low, test_accuracy_high (0..1); a row a run.
        curve: of `core.runs.more_images.Forecast`, None where nothing could be fitted.
    """
    note = "Dashed and shaded: extrapolated, not measured" if curve is not None else ""
    figure = blank_figure("Would more images help?", note, "Training images (log scale)", "Test accuracy (%)", 420)
    if curve is not None:
        ahead = curve[curve["extrapolated"]]
        ahead = pd.concat([curve[~curve["extrapolated"]].tail(1), ahead])  # joined to what was measured
        band = pd.concat([ahead["high"], ahead["low"][::-1]])
        figure.add_scatter(
            x=pd.concat([ahead["images"], ahead["images"][::-1]]),
            y=100 * band,
            mode="lines",
            fill="toself",
            fillcolor="rgba(213,94,0,0.15)",
            line={"width": 0},
            hoverinfo="skip",
            name="95 % interval of the extrapolation",
        )
        for rows, name, dash in ((curve[~curve["extrapolated"]], "fitted", "solid"), (ahead, "extrapolated", "dash")):
            figure.add_scatter(
                x=rows["images"],
                y=100 * rows["accuracy"],
                mode="lines",
                name=name,
                line={"color": PALETTE[1], "dash": dash, "width": 2},
                hovertemplate=f"{name}, %{{x:,.0f}} images: %{{y:.1f}} %<extra></extra>",
            )
    accuracies = 100 * table["test_accuracy"]
    figure.add_scatter(
        x=table["images"],
        y=accuracies,
        mode="markers",
        name="measured, with 95 % intervals",
        marker={"size": 10, "color": PALETTE[0]},
        error_y=_intervals(table),
        hovertemplate="%{x:,} images: %{y:.1f} %<extra></extra>",
    )
    ticks = sorted(
        {int(images) for images in table["images"]} | ({round(curve["images"].max())} if curve is not None else set())
    )
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[count(images) for images in ticks])
    return figure


def _add_differences(figure: go.Figure, rows: pd.DataFrame, names: list[str], images: pd.Series) -> None:
    """Points with intervals, in points, and a line where there is no difference."""
    difference = 100 * rows["difference"]
    figure.add_scatter(
        x=difference,
        y=names,
        mode="markers",
        marker={"size": 10, "color": PALETTE[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * rows["high"] - difference,
            "arrayminus": difference - 100 * rows["low"],
            "color": PALETTE[0],
            "thickness": 2,
        },
        customdata=images,
        hovertemplate="%{y}: %{x:+.1f} points, test images: %{customdata:,}<extra></extra>",
    )
    figure.add_shape(x0=0, x1=0, y0=0, y1=1, yref="paper", **_AXIS_OF_ZERO)
    figure.update_xaxes(showgrid=True)


def _values(rows: Sequence[Mapping[str, Any]], metric: str) -> list[float | None]:
    """One figure by epoch, None where it is missing or not finite; accuracies in %."""
    factor = 100.0 if metric.endswith("accuracy") else 1.0
    values = [row.get(metric) for row in rows]
    return [factor * value if value is not None and math.isfinite(value) else None for value in values]


def _minutes(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Minutes of training passed at the end of each epoch."""
    passed, result = 0.0, []
    for row in rows:
        passed += (row.get("seconds") or 0.0) / 60
        result.append(passed)
    return result


def _intervals(table: pd.DataFrame) -> dict[str, Any]:
    """Bars from test_accuracy_low to test_accuracy_high, in percent."""
    return {
        "type": "data",
        "symmetric": False,
        "array": 100 * (table["test_accuracy_high"] - table["test_accuracy"]),
        "arrayminus": 100 * (table["test_accuracy"] - table["test_accuracy_low"]),
        "color": PALETTE[0],
        "thickness": 1,
    }
