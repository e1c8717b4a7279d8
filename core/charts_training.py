"""Figures for planning a run: how the learning rate will move, and what the learning-rate finder saw."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from core.charts import PALETTE, blank_figure
from core.config import TrainConfig
from core.schedule import curve
from core.wording import significant


def steps_per_epoch(config: TrainConfig, num_train: int) -> int:
    """Optimizer steps in one epoch of `num_train` training images, changed copies included."""
    images = num_train * (1 + config.augment.views if config.model.tune == "head" else 1)
    return max(1, math.ceil(math.ceil(images / config.optim.batch_size) / config.optim.accumulate))


def learning_rates(config: TrainConfig, num_train: int) -> pd.DataFrame:
    """The planned learning rate over the run: epoch (as far as passed, from 0), learning_rate."""
    points = curve(config.schedule, config.optim.epochs, steps_per_epoch(config, num_train))
    rates = [(epoch, config.optim.learning_rate * factor) for epoch, factor in points]
    return pd.DataFrame(rates, columns=["epoch", "learning_rate"])


def learning_rate_chart(rates: pd.DataFrame) -> go.Figure:
    """The planned learning rate, see `learning_rates`."""
    figure = blank_figure("How will the learning rate move?", "", "Epochs passed", "Learning rate", 340)
    figure.add_scatter(
        x=rates["epoch"],
        y=rates["learning_rate"],
        mode="lines",
        line={"color": PALETTE[0], "width": 2},
        hovertemplate="after %{x:.2f} epochs: %{y:.3g}<extra></extra>",
    )
    figure.update_yaxes(rangemode="tozero", exponentformat="power", tickformat=".3~g")
    return figure


def lr_search_chart(rates: Sequence[float], losses: Sequence[float], suggestion: float | None) -> go.Figure:
    """Loss against a rising learning rate, with the suggested one marked.

    Args:
        rates: rising, above 0.
        losses: one a rate; what is not finite leaves a gap.
    """
    figure = blank_figure("At which learning rate does the loss fall?", "", "Learning rate (log scale)", "Loss", 340)
    figure.add_scatter(
        x=list(rates),
        y=[loss if math.isfinite(loss) else None for loss in losses],
        mode="lines",
        line={"color": PALETTE[0], "width": 2},
        name="loss",
        hovertemplate="learning rate %{x:.3g}: loss %{y:.3g}<extra></extra>",
    )
    if suggestion is not None:
        figure.add_vline(x=suggestion, line={"color": PALETTE[1], "dash": "dash", "width": 2})
        figure.add_annotation(
            x=math.log10(suggestion),  # the line takes the value itself, a text on a logarithmic axis its logarithm
            y=1,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            text=f"suggested: {significant(suggestion)}",
        )
    figure.update_xaxes(type="log", exponentformat="power", dtick=1)
    figure.update_layout(showlegend=False)
    return figure
