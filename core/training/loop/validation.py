"""One pass over images without learning from them."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from core.training.batching.batches import Batches
from core.training.distributed import ALONE, Ranks
from core.training.loop.numerics import PLAIN, Numerics
from core.training.loop.totals import Totals


def evaluate(
    model: nn.Module,
    batches: Batches,
    num_classes: int,
    numerics: Numerics | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    batch_size: int | None = None,
) -> Totals | None:
    """Plain cross-entropy, accuracy and balanced accuracy over one pass, of all processes together.

    Args:
        model: gives logits (N, num_classes); left in evaluation mode.
        numerics: None computes in float32 on the CPU.
        should_stop: asked before every batch, in a single process only; True ends the pass without a result.

    Returns:
        None when asked to stop.
    """
    numerics = numerics or PLAIN
    model.eval()
    network = numerics.network(model)
    began = time.perf_counter()
    sums = torch.zeros(1 + 2 * num_classes, dtype=torch.float64, device=numerics.device)
    with torch.inference_mode():
        for inputs, labels in batches.epoch(0, 0, batch_size):
            if ranks.size == 1 and should_stop():
                return None
            with numerics.forward():
                logits = network(numerics.arranged(inputs)).float()
            named = F.one_hot(labels, num_classes)
            right = (logits.argmax(dim=1) == labels).unsqueeze(1)
            loss = F.cross_entropy(logits, labels, reduction="sum").view(1)
            sums += torch.cat([loss, named.sum(dim=0), (named * right).sum(dim=0)])
    loss_sum, *counts = ranks.all_reduce_sum(sums).tolist()
    seen, found = counts[:num_classes], counts[num_classes:]
    recalls = [hits / count for hits, count in zip(found, seen, strict=True) if count]
    return Totals(
        loss=loss_sum,
        correct=round(sum(found)),
        num_images=round(sum(seen)),
        seconds=time.perf_counter() - began,
        balanced_accuracy=sum(recalls) / max(1, len(recalls)),
    )
