"""Every schedule against numbers worked by hand, and against torch's own where torch has the same one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from core.config import ScheduleConfig
from core.schedule import curve, factor, factors


def _schedule(kind: str, warmup: float = 0.0, **values: Any) -> ScheduleConfig:
    return ScheduleConfig.model_validate({"kind": kind, "warmup_fraction": warmup} | values)


def test_the_cosine_after_a_warmup_by_hand() -> None:
    by_hand = [1 / 3, 2 / 3] + [0.5 * (1 + math.cos(math.pi * n / 8)) for n in range(8)]
    assert factors(_schedule("cosine", 0.2), 10, 1) == pytest.approx(by_hand)
    assert factors(_schedule("cosine"), 2, 2) == pytest.approx(
        [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )


def test_constant_and_plateau_stay_where_the_warmup_ends() -> None:
    for kind in ("constant", "plateau"):
        assert factors(_schedule(kind, 0.5), 2, 4) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


def test_step_lowers_every_so_many_epochs() -> None:
    found = factors(_schedule("step", gamma=0.5, step_epochs=2), 5, 2)
    assert found == pytest.approx([1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_multistep_lowers_after_the_named_epochs() -> None:
    found = factors(_schedule("multistep", gamma=0.1, milestones="1, 3"), 4, 2)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_warmup_and_steps_multiply() -> None:
    found = factors(_schedule("step", 0.5, gamma=0.5, step_epochs=1), 2, 2)
    assert found == pytest.approx([1 / 3, 2 / 3, 0.5, 0.5])


def test_onecycle_by_hand() -> None:
    # ten steps, the climb ends at step 0.4 * 10 - 1 = 3, the fall at step 9
    found = factors(_schedule("onecycle", 0.4), 10, 1)
    climb = [1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * n / 3)) / 2 for n in range(4)]
    assert found[:4] == pytest.approx(climb) and found[0] == pytest.approx(0.04) and found[3] == 1
    assert found[6] == pytest.approx((1 + 1 / 250_000) / 2) and found[9] == pytest.approx(4e-6)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_onecycle_is_torchs(share: float) -> None:
    assert factors(_schedule("onecycle", share), 4, 10) == pytest.approx(
        _torchs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, 40, pct_start=share, cycle_momentum=False), 40)
    )


def test_steps_are_torchs() -> None:
    lr_scheduler = torch.optim.lr_scheduler
    assert factors(_schedule("step", gamma=0.3, step_epochs=3), 10, 1) == pytest.approx(
        _torchs(lambda o: lr_scheduler.StepLR(o, 3, 0.3), 10)
    )
    assert factors(_schedule("multistep", gamma=0.3, milestones="2 5"), 10, 1) == pytest.approx(
        _torchs(lambda o: lr_scheduler.MultiStepLR(o, [2, 5], 0.3), 10)
    )


@pytest.mark.parametrize("kind", ["cosine", "constant", "step", "multistep", "onecycle", "plateau"])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5])
@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 2), (3, 1), (30, 7)])
def test_every_step_has_a_rate_that_learns(kind: str, warmup: float, epochs: int, steps: int) -> None:
    schedule = _schedule(kind, warmup, milestones="1, 2" if kind == "multistep" else "")
    found = factors(schedule, epochs, steps)
    assert len(found) == epochs * steps and all(0 < one <= 1 for one in found)
    assert factor(schedule, epochs * steps - 1, epochs, steps) == found[-1]


def test_the_curve_has_both_ends_and_few_points() -> None:
    schedule = _schedule("cosine", 0.05)
    assert [place for place, _ in curve(schedule, 2, 3)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    points = curve(schedule, 1000, 30_000, most_points=50)
    assert len(points) == 50 and points[0][0] == 0 and points[-1][0] == pytest.approx(1000, abs=1e-3)
    assert [value for _, value in curve(schedule, 2, 3)] == factors(schedule, 2, 3)


def _torchs(build: Any, count: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = build(optimizer), []
    for _ in range(count):
        found.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return found
