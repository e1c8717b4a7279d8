"""What is made small: cross-entropy or focal loss, with smoothed, mixed and weighted labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from core.config import OptimConfig

# (logits float32 (N, C), targets) -> the sum over images, a scalar. Targets are class indices, int64 (N,), or shares of
# the classes, float32 (N, C), as MixUp and CutMix make them. A sum, so that the mean over several batches is exact.
Loss = Callable[[Tensor, Tensor], Tensor]
_LEAST_DOUBT = 1e-12  # below it the power of a doubt has an infinite slope where gamma < 1


def build_loss(optim: OptimConfig, class_counts: Sequence[int] | None, device: torch.device) -> Loss:
    """The configured loss.

    Args:
        class_counts: training images of each class; needed where class_weights = balanced, else of no effect.
    """
    weights = None
    if optim.class_weights == "balanced":
        assert class_counts is not None
        weights = balanced_weights(class_counts).to(device)
    smoothing = optim.label_smoothing
    if optim.loss == "focal":
        return lambda logits, targets: focal_loss(logits, targets, optim.focal_gamma, weights, smoothing)
    return lambda logits, targets: F.cross_entropy(logits, targets, weights, label_smoothing=smoothing, reduction="sum")


def balanced_weights(class_counts: Sequence[int]) -> Tensor:
    """num_images / (num_classes * count) for each class, float32 (C,): 1 on average over images; 0 for an empty class.

    scikit-learn's class_weight="balanced". The loss is divided by the number of images, not by the sum of the weights
    in the batch as torch's mean does: a batch with rare classes then pulls harder, and so all classes pull the same.
    """
    counts = torch.tensor(list(class_counts), dtype=torch.float64)
    weights = counts.sum() / (len(counts) * counts)
    return torch.where(counts > 0, weights, 0.0).float()


def focal_loss(
    logits: Tensor, targets: Tensor, gamma: float, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Sum over images and classes of -t (1 - p)^gamma log p (Lin et al. 2017, without alpha).

    t is the target's share of the class after smoothing; for a plain label this is -(1 - p)^gamma log p of its class.
    gamma = 0 is cross-entropy.
    """
    num_classes = logits.shape[1]
    shares = F.one_hot(targets, num_classes).to(logits.dtype) if targets.ndim == 1 else targets
    shares = shares * (1 - smoothing) + smoothing / num_classes
    log_p = F.log_softmax(logits, dim=1)
    doubt = (-torch.expm1(log_p)).clamp_min(_LEAST_DOUBT)
    terms = -shares * doubt**gamma * log_p
    return (terms if weights is None else terms * weights).sum()


def named_classes(targets: Tensor) -> Tensor:
    """The class of each target, int64 (N,): of mixed ones that with the largest share."""
    return targets if targets.ndim == 1 else targets.argmax(dim=1)
