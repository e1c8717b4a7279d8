"""Every figure Darkroom draws, from plain tables; one look, one palette.

Show them with `st.plotly_chart(figure, theme="streamlit")`: that keeps the colours set here and lends the text the
colour of the page's theme. Class names are data: `display_names` makes them safe before they reach a figure, since
plotly reads some HTML and `$...$` in any text.
"""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import plotly.io

from core.wording import count, percent, significant

# Okabe and Ito's palette for colour-blind readers, without its black, which a dark page would swallow.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442")
SCALE = "Cividis"  # even steps for colour-blind eyes; its own background, so the same in light and dark
GRID = "rgba(128,128,128,0.25)"
CLEAR = "rgba(0,0,0,0)"

MAX_BARS = 40
MAX_NAME = 32  # characters of a class name on an axis
WIDE_RANGE = 100  # largest over smallest count from which colour goes by the logarithm

TEMPLATE = "darkroom"
_AXIS = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True, "separatethousands": True}
plotly.io.templates[TEMPLATE] = go.layout.Template(
    layout={
        "colorway": PALETTE,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "title": {"x": 0, "xanchor": "left", "xref": "container", "y": 1, "yanchor": "top", "yref": "container"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "colorscale": {"sequential": SCALE},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "yref": "container", "y": 0, "yanchor": "bottom"},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": CLEAR, "color": "rgba(128,128,128,0.7)", "activecolor": PALETTE[0]},
    }
)


def display_names(names: Sequence[str], max_length: int = MAX_NAME) -> list[str]:
    """Class names as text that plotly shows literally: one distinct name each, shortened to about `max_length`.

    `<`, `>`, `&` and `$` become entities; a long name loses its middle; white space becomes single spaces;
    names that would then look alike are numbered.
    """
    shown = [_shortened(" ".join(name.split()) or "(no name)", max_length) for name in names]
    common, seen = Counter(shown), Counter[str]()
    taken = set(shown)
    distinct = []
    for name in shown:
        label = name
        while common[name] > 1 and (label == name or label in taken):
            seen[name] += 1
            label = f"{name} ({seen[name]})"
        taken.add(label)
        distinct.append(_literal(label))
    return distinct


def training_curves_chart(history: Sequence[dict[str, Any]], metric: Literal["loss", "accuracy"]) -> go.Figure:
    """Training and validation loss (nats) or accuracy (%) by epoch, the best validation epoch marked.

    Args:
        history: rows of `metrics.jsonl`; a missing or non-finite value leaves a gap in its line.
    """
    loss = metric == "loss"
    question = "How far did the loss fall?" if loss else "How many images are classified correctly?"
    figure = blank_figure(question, "", "Epoch", "Loss (nats)" if loss else "Accuracy (%)", 360)
    epochs = [row["epoch"] for row in history]
    hover = "%{y:.3g}" if loss else "%{y:.1f} %"
    val = _values(history, f"val_{metric}")
    for name, values, colour, dash in (
        ("training", _values(history, f"train_{metric}"), PALETTE[0], "dash"),
        ("validation", val, PALETTE[1], "solid"),
    ):
        figure.add_scatter(
            x=epochs,
            y=values,
            name=name,
            mode="lines+markers" if len(epochs) < 3 else "lines",
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=hover,
        )
    known = [position for position, value in enumerate(val) if value is not None]
    if known:
        best = (min if loss else max)(known, key=lambda position: val[position])
        figure.add_scatter(
            x=[epochs[best]],
            y=[val[best]],
            name=f"best: epoch {epochs[best]}, {significant(val[best]) if loss else percent(val[best] / 100)}",
            mode="markers",
            marker={"symbol": "star", "size": 14, "color": PALETTE[3]},
            hoverinfo="skip",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(tickformat="d", **({"dtick": 1} if len(epochs) <= 10 else {}))
    return figure


def blank_figure(question: str, subtitle: str, x_title: str, y_title: str, height: int) -> go.Figure:
    """A figure without data in Darkroom's look."""
    # Streamlit's theme overwrites the template's colours and margins but not the figure's own. All in one go: plotly
    # checks a figure anew with every update, which took longer than all the rest of a page.
    return go.Figure(
        layout={
            "template": TEMPLATE,
            "title": {"text": question, "subtitle": {"text": subtitle}},
            "height": height,
            "margin": {"t": 90 if subtitle else 70, "b": 50, "l": 10, "r": 10},
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "xaxis": {"title": {"text": x_title}, "gridcolor": GRID},
            "yaxis": {"title": {"text": y_title}, "gridcolor": GRID},
        }
    )


def with_class_rows(figure: go.Figure, names: list[str]) -> go.Figure:
    """The first name on top, none left out, and no name taken for a number."""
    figure.update_yaxes(type="category", categoryarray=names, autorange="reversed", dtick=1, showgrid=False)
    return figure


def row_height(num_rows: int) -> int:
    """Pixels that a figure with so many rows needs."""
    return 150 + 24 * max(num_rows, 2)


def count_colours(counts: np.ndarray, unit: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Values to colour counts by, and the colour bar that reads as counts: logarithmic where the range is wide."""
    positive = counts[np.nan_to_num(counts) > 0]
    if positive.size == 0 or positive.max() < WIDE_RANGE * positive.min():
        return counts, {"title": {"text": unit, "side": "right"}, "tickformat": ",d"}
    # Zero has no logarithm: it stands one step below one.
    steps = [10**power for power in range(int(math.log10(positive.max())) + 1)]
    ticks = ([0] if (counts == 0).any() else []) + steps
    return _log_step(counts), {
        "title": {"text": f"{unit} (logarithmic)", "side": "right"},
        "tickvals": _log_step(np.array(ticks, float)),
        "ticktext": [count(tick) for tick in ticks],
    }


def _log_step(counts: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(counts), np.nan, np.log10(np.maximum(np.nan_to_num(counts), 0.5)))


def _values(history: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    """One figure by epoch, None where it is not a number; accuracies in %."""
    factor = 100.0 if name.endswith("accuracy") else 1.0
    values = [row.get(name) for row in history]
    return [factor * value if value is not None and math.isfinite(value) else None for value in values]


def _shortened(name: str, max_length: int) -> str:
    if len(name) <= max_length:
        return name
    half = (max_length - 1) // 2
    return f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def _literal(text: str) -> str:
    # Quotes stay: plotly knows no &quot; and would show it as written.
    return html.escape(text, quote=False).replace("$", "&#36;")
