"""Figures for planning a run."""

from __future__ import annotations

import math

import pytest

from core.charts_training import learning_rate_chart, learning_rates, lr_search_chart, steps_per_epoch
from core.config import build_config


def test_steps_of_an_epoch_by_hand() -> None:
    whole = {"model.tune": "all", "optim.batch_size": 32}
    assert steps_per_epoch(build_config(whole), 100) == 4  # 32, 32, 32, 4
    assert steps_per_epoch(build_config(whole | {"optim.accumulate": 3}), 100) == 2  # three batches, then the last
    views = {"augment.views": 2, "augment.shift": 0.1, "optim.batch_size": 32}
    assert steps_per_epoch(build_config(views), 100) == 10  # 300 features


def test_the_curve_is_the_schedule_times_the_rate() -> None:
    config = build_config(
        {
            "model.tune": "all",
            "optim.learning_rate": 0.5,
            "optim.epochs": 3,
            "schedule.kind": "step",
            "schedule.step_epochs": 1,
            "schedule.gamma": 0.1,
            "schedule.warmup_fraction": 0,
        }
    )
    rates = learning_rates(config, 64)  # two steps an epoch
    assert rates["epoch"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert rates["learning_rate"].tolist() == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005, 0.005])
    figure = learning_rate_chart(rates)
    assert list(figure.data[0].y) == rates["learning_rate"].tolist()
    assert figure.layout.xaxis.title.text and figure.layout.yaxis.title.text


def test_a_search_marks_what_it_suggests_and_leaves_gaps() -> None:
    figure = lr_search_chart([1e-4, 1e-3, 1e-2], [2.0, 1.0, math.inf], 1e-3)
    assert figure.layout.xaxis.type == "log" and figure.data[0].y == (2.0, 1.0, None)
    (text,) = figure.layout.annotations
    assert figure.layout.shapes[0].x0 == 1e-3 and text.x == -3 and "0.001" in text.text
    assert not lr_search_chart([1e-4], [2.0], None).layout.shapes
