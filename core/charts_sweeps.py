"""Figures of a sweep: how the search went, which settings matter, which values did well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.charts import GRID, PALETTE, SCALE, blank_figure, display_names, row_height, with_class_rows
from core.wording import percent, significant

MOST_CURVES = 60  # the latest of more
_SIGNS = {"finished": ("circle", PALETTE[0]), "pruned": ("x", PALETTE[3]), "running": ("circle-open", PALETTE[4])}
_START = ("star", PALETTE[1])
_TITLES = {
    "val_accuracy": "Validation accuracy (%)",
    "val_balanced_accuracy": "Balanced validation accuracy (%)",
    "val_loss": "Validation loss (nats)",
}


def metric_title(metric: str) -> str:
    """The metric as an axis names it."""
    return _TITLES[metric]


def metric_text(metric: str, value: float | None) -> str:
    """A value of the metric as people read it."""
    return significant(value) if metric == "val_loss" else percent(value)


def history_chart(trials: pd.DataFrame, metric: str) -> go.Figure:
    """Every trial's score and the best so far.

    Args:
        trials: as `core.sweeps.results.trial_table` gives it.
    """
    figure = blank_figure("How did the search go?", "", "Trial", metric_title(metric), 360)
    best = trials[trials["best_score"].notna()]
    figure.add_scatter(
        x=best["trial"],
        y=_shown(best["best_score"], metric),
        name="best so far",
        mode="lines",
        line={"color": PALETTE[2], "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    for name, rows, (symbol, colour) in _kinds(trials):
        figure.add_scatter(
            x=rows["trial"],
            y=_shown(rows["score"], metric),
            name=name,
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 9},
            customdata=[[metric_text(metric, score), int(epoch)] for score, epoch in _pairs(rows)],
            hovertemplate="Trial %{x}: %{customdata[0]} at epoch %{customdata[1]}",
        )
    figure.update_xaxes(tickformat="d")
    figure.update_layout(hovermode="closest")
    return figure


def importance_chart(importance: Mapping[str, float]) -> go.Figure:
    """How much of the spread in score each setting explains.

    Args:
        importance: shares that add up to 1, by setting.
    """
    rows = sorted(importance.items(), key=lambda one: -one[1])
    names = display_names([path for path, _ in rows])
    figure = blank_figure(
        "Which settings matter?", "Among finished trials, by PED-ANOVA", "Share (%)", "Setting", row_height(len(rows))
    )
    figure.add_bar(
        x=[100 * share for _, share in rows],
        y=names,
        orientation="h",
        marker={"color": PALETTE[0]},
        hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(rangemode="tozero")
    return with_class_rows(figure, names)


def slice_chart(trials: pd.DataFrame, path: str, metric: str, log: bool) -> go.Figure:
    """The scores by the values of one setting.

    Args:
        log: whether it was searched on a logarithmic scale.
    """
    rows = trials[trials[path].notna()]
    figure = blank_figure(f"Which {path} did well?", "", path, metric_title(metric), 340)
    numeric = _is_numeric(rows[path])
    for name, kind, (symbol, colour) in _kinds(rows):
        figure.add_scatter(
            x=kind[path] if numeric else _literal_values(kind[path]),
            y=_shown(kind["score"], metric),
            name=name,
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 9},
            customdata=kind["trial"],
            hovertemplate="Trial %{customdata}: " + f"{_literal_path(path)} = " + "%{x}",
        )
    if numeric and log:
        figure.update_xaxes(type="log")
    elif not numeric:
        figure.update_xaxes(type="category")
    figure.update_layout(hovermode="closest")
    return figure


def parallel_chart(trials: pd.DataFrame, paths: Sequence[str], metric: str, logs: frozenset[str]) -> go.Figure:
    """Every finished trial as a line through its values, coloured by its score.

    Args:
        paths: the settings, an axis each.
        logs: those searched on a logarithmic scale.
    """
    rows = trials[(trials["state"] == "finished") & trials["score"].notna()]
    rows = rows.dropna(subset=list(paths))
    figure = blank_figure("Which values go together?", "", "", "", 420)
    scores = _shown(rows["score"], metric)
    names = display_names(list(paths))
    axes = [_axis(rows[path], name, path in logs) for path, name in zip(paths, names, strict=True)]
    axes.append({"label": metric_title(metric), "values": scores})
    figure.add_parcoords(
        dimensions=axes,
        line={
            "color": scores,
            "colorscale": SCALE,
            "reversescale": metric == "val_loss",
            "showscale": True,
            "colorbar": {"title": {"text": metric_title(metric), "side": "right"}},
        },
        unselected={"line": {"color": GRID}},
    )
    figure.update_layout(margin={"l": 70, "r": 40, "t": 110, "b": 40})
    return figure


def curves_chart(curves: Sequence[tuple[int, str, Sequence[Sequence[float]]]], metric: str) -> go.Figure:
    """The metric by epoch of each trial, those that were pruned ending early.

    Args:
        curves: number, state and [epoch, value] pairs of each trial.
    """
    kept = list(curves)[-MOST_CURVES:]
    left_out = f"The latest {MOST_CURVES} of {len(curves):,} trials" if len(kept) < len(curves) else ""
    figure = blank_figure("Where were trials pruned?", left_out, "Epoch", metric_title(metric), 360)
    named: set[str] = set()
    for number, state, points in kept:
        _, colour = _SIGNS.get(state, ("", GRID))
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=_shown([value for _, value in points], metric),
            name=state,
            legendgroup=state,
            showlegend=state not in named,
            mode="lines+markers" if len(points) == 1 else "lines",
            line={"color": colour, "width": 1.5, "dash": "dot" if state == "pruned" else "solid"},
            hovertemplate=f"Trial {number}, epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        named.add(state)
    figure.update_xaxes(tickformat="d")
    figure.update_layout(hovermode="closest")
    return figure


def _kinds(trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame, tuple[str, str]]]:
    """Trials with a score, by what became of them; those the search started from apart."""
    scored = trials[trials["score"].notna()]
    found = [(state, scored[(scored["state"] == state) & ~scored["start"]], sign) for state, sign in _SIGNS.items()]
    found.append(("the start", scored[scored["start"]], _START))
    return [one for one in found if len(one[1])]


def _pairs(rows: pd.DataFrame) -> list[tuple[float, int]]:
    return list(zip(rows["score"], rows["epoch"], strict=True))


def _shown(values: Sequence[float] | pd.Series, metric: str) -> list[float]:
    factor = 1.0 if metric == "val_loss" else 100.0
    return [factor * value for value in values]


def _is_numeric(values: pd.Series) -> bool:
    return all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in values)


def _literal_values(values: pd.Series) -> list[str]:
    """Values that are not numbers, as text that plotly shows literally; the same text for the same value."""
    distinct = list(dict.fromkeys(str(value) for value in values))
    shown = dict(zip(distinct, display_names(distinct), strict=True))
    return [shown[str(value)] for value in values]


def _literal_path(path: str) -> str:
    return display_names([path])[0]


def _axis(values: pd.Series, name: str, log: bool) -> dict[str, Any]:
    if not _is_numeric(values):
        distinct = sorted({str(value) for value in values})
        places = {value: place for place, value in enumerate(distinct)}
        return {
            "label": name,
            "values": [places[str(value)] for value in values],
            "tickvals": list(range(len(distinct))),
            "ticktext": display_names(distinct),
        }
    numbers = [float(value) for value in values]
    if not log or not numbers:
        return {"label": name, "values": numbers}
    ticks = _log_ticks(min(numbers), max(numbers))
    return {
        "label": name,
        "values": [math.log10(number) for number in numbers],
        "tickvals": [math.log10(tick) for tick in ticks],
        "ticktext": [significant(tick) for tick in ticks],
    }


def _log_ticks(low: float, high: float) -> list[float]:
    """Both ends and the powers of ten between them."""
    powers = [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    return sorted({low, *powers, high})
