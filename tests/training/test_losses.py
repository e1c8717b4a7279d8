"""Losses against numbers worked by hand, and against torch where torch has the same one."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import OptimConfig
from core.training.loop.losses import Loss, balanced_weights, build_loss, focal_loss, named_classes

CPU = torch.device("cpu")
THREE_TO_ONE = torch.tensor([[math.log(3), 0.0]])  # softmax: 3/4 and 1/4


def _loss(class_counts: list[int] | None = None, **optim: Any) -> Loss:
    return build_loss(OptimConfig.model_validate(optim), class_counts, CPU)


def _some(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (7, 4), labels and mixed targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, 4, generator=generator)
    return logits, torch.randint(0, 4, (7,), generator=generator), torch.rand(7, 4, generator=generator).softmax(dim=1)


def test_cross_entropy_is_a_sum_over_images() -> None:
    logits = THREE_TO_ONE.repeat(2, 1)
    assert _loss()(logits, torch.tensor([0, 1])).item() == pytest.approx(math.log(4 / 3) + math.log(4))


def test_a_mixup_target_pays_each_class_by_its_share() -> None:
    # 0.7 of class 0 blended with 0.3 of class 1: 0.7 * -log(3/4) + 0.3 * -log(1/4)
    by_hand = 0.7 * math.log(4 / 3) + 0.3 * math.log(4)
    assert _loss()(THREE_TO_ONE, torch.tensor([[0.7, 0.3]])).item() == pytest.approx(by_hand)
    assert named_classes(torch.tensor([[0.7, 0.3], [0.2, 0.8]])).tolist() == [0, 1]


def test_label_smoothing_by_hand() -> None:
    # 0.2 spread over two classes: 0.9 and 0.1
    by_hand = 0.9 * math.log(4 / 3) + 0.1 * math.log(4)
    for kind in ("cross_entropy", "focal"):
        smoothed = _loss(loss=kind, focal_gamma=0.0, label_smoothing=0.2)
        assert smoothed(THREE_TO_ONE, torch.tensor([0])).item() == pytest.approx(by_hand)
        assert smoothed(THREE_TO_ONE, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(by_hand)


def test_focal_loss_by_hand() -> None:
    # -(1 - 3/4)^2 log(3/4) for the easy image, -(1 - 1/4)^2 log(1/4) for the hard one
    easy, hard = math.log(4 / 3) / 16, math.log(4) * 9 / 16
    focal = _loss(loss="focal", focal_gamma=2.0)
    assert focal(THREE_TO_ONE, torch.tensor([0])).item() == pytest.approx(easy)
    assert focal(THREE_TO_ONE.repeat(2, 1), torch.tensor([0, 1])).item() == pytest.approx(easy + hard)
    assert focal(THREE_TO_ONE, torch.tensor([[0.5, 0.5]])).item() == pytest.approx((easy + hard) / 2)


def test_focal_loss_without_gamma_is_cross_entropy() -> None:
    logits, labels, mixed = _some()
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])
    for targets in (labels, mixed):
        torchs = F.cross_entropy(logits, targets, weights, reduction="sum", label_smoothing=0.1)
        assert focal_loss(logits, targets, 0.0, weights, 0.1).item() == pytest.approx(torchs.item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_loss_has_a_gradient_where_an_answer_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0, 0]), gamma).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


def test_balanced_weights_by_hand() -> None:
    # 8 images, 2 classes: 8 / (2 * 6) and 8 / (2 * 2)
    assert balanced_weights([6, 2]).tolist() == pytest.approx([2 / 3, 2])
    assert balanced_weights([6, 2, 0]).tolist() == pytest.approx([8 / 18, 8 / 6, 0])


def test_class_weights_let_all_classes_pull_the_same() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2)
    logits = torch.zeros(8, 2, requires_grad=True)
    loss = _loss([6, 2], class_weights="balanced")(logits, labels)
    assert loss.item() == pytest.approx(8 * math.log(2))  # weights are 1 on average
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.sum(dim=0).tolist() == pytest.approx([0, 0], abs=1e-6)  # no class wins by its number


def test_weights_and_mixed_targets_are_torchs() -> None:
    logits, _, mixed = _some(1)
    weighted = _loss([1, 2, 3, 4], class_weights="balanced", label_smoothing=0.1)(logits, mixed)
    torchs = F.cross_entropy(logits, mixed, balanced_weights([1, 2, 3, 4]), label_smoothing=0.1)  # over N, for shares
    assert weighted.item() / len(logits) == pytest.approx(torchs.item(), rel=1e-5)
