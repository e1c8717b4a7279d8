"""The average of the weights, against numbers worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.loop.averaging import Average


def _scalar(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model


def test_the_average_by_hand() -> None:
    model = _scalar(0.0)
    average = Average(model, decay=0.2)
    expected = 0.0
    for num_updates, value in enumerate((1.0, 4.0, -2.0), start=1):
        model.weight.data.fill_(value)
        average.update()
        decay = min(0.2, (1 + num_updates) / (10 + num_updates))  # 2/11, then 0.2
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)
    # the same written out: 9/11, then 0.2 * 9/11 + 0.8 * 4, then 0.2 of that - 0.8 * 2
    assert expected == pytest.approx(0.2 * (0.2 * 9 / 11 + 3.2) - 1.6)


def test_a_long_run_keeps_the_share_asked_for() -> None:
    model = _scalar(1.0)
    average = Average(model, decay=0.9)
    for _ in range(100):
        average.update()
    model.weight.data.fill_(0.0)
    average.update()
    assert average.model.weight.item() == pytest.approx(0.9)


def test_statistics_are_averaged_and_counts_are_taken_over() -> None:
    model = nn.BatchNorm1d(1).train()
    average = Average(model, decay=0.5)
    model(torch.tensor([[0.0], [4.0]]))  # mean 2, momentum 0.1: running mean 0.2
    average.update()
    assert average.model.running_mean is not None and average.model.num_batches_tracked is not None
    assert average.model.running_mean.item() == pytest.approx((1 - 2 / 11) * 0.2)
    assert average.model.num_batches_tracked.item() == 1
    assert not average.model.training


def test_it_goes_on_from_its_state() -> None:
    model = _scalar(0.0)
    whole, parted = Average(model, 0.99), Average(model, 0.99)
    for value in (1.0, 2.0, 3.0):
        model.weight.data.fill_(value)
        whole.update()
        parted.update()
        later = Average(_scalar(7.0), 0.99)
        later.load_state_dict(parted.state_dict())
        assert torch.equal(later.model.weight, whole.model.weight)
    assert later.state_dict()["num_updates"] == 3
