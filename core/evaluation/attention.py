"""Where a transformer sees its answer, by what its attention handed on: for networks in which no layer keeps places.

In a transformer every place soon holds something of all others, so a gradient at its late layers says little of where.
Relevance is therefore followed through the blocks: R grows in each by A' R, where A' is the mean over heads of the
positive part of attention times its gradient. Source: H. Chefer, S. Gur, L. Wolf, "Generic Attention-model
Explainability for Interpreting Bi-Modal and Encoder-Decoder Transformers", ICCV 2021, equations 5 and 6.

For timm's networks whose blocks all attend from all places to all; others have no such maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

MOST_EXTRA_TOKENS = 8  # tokens that stand for no place: class, distillation, registers; they come first
_NOTHING = 1e-12


def attention_side(network: nn.Module, images_NCHW: Tensor) -> int:
    """Places along a side of the maps that `attention_maps` makes of this network; 0 where it makes none."""
    with _attending(network) as held, torch.no_grad():
        network(images_NCHW)
    shapes = {tuple(one.shape) for one in held}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 4 or shape[0] != len(images_NCHW) or shape[2] != shape[3]:
        return 0
    side = math.isqrt(shape[2])
    return side if shape[2] - side * side <= MOST_EXTRA_TOKENS and side > 1 else 0


def attention_maps(network: nn.Module, images_NCHW: Tensor, targets: Tensor, side: int) -> np.ndarray:
    """One map an image: float32 (N, side, side), never negative, the largest of an image 1 or all zero.

    What every place gets, the median, is taken off, and the rest squared: relevance is spread thinly over places that
    have no say. Neither changes which of two places is the stronger.

    Args:
        network: in evaluation mode.
        targets: index of the class explained, int64 (N,).
        side: of `attention_side`.
    """
    with _attending(network) as held, torch.enable_grad():
        logits = network(images_NCHW.detach().requires_grad_())
        slopes = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), held)
    tokens = held[0].shape[-1]
    nothing = torch.eye(tokens, device=held[0].device).expand(len(images_NCHW), -1, -1)
    relevance = nothing
    for attention, slope in zip(held, slopes, strict=True):
        relevance = relevance + (attention.detach() * slope).clamp(min=0).mean(dim=1) @ relevance
    answering = (slopes[-1].abs().amax(dim=(1, 3)) > _NOTHING).float()  # tokens whose last state the answer rests on
    found = (answering[:, None] @ (relevance - nothing))[:, 0, -(side**2) :]
    found = (found - found.median(dim=1, keepdim=True).values).clamp(min=0) ** 2
    found = found / found.amax(dim=1, keepdim=True).clamp(min=_NOTHING)
    return found.unflatten(1, (side, side)).float().cpu().numpy()


@contextmanager
def _attending(network: nn.Module) -> Iterator[list[Tensor]]:
    """While it lasts, every forward pass leaves the attention of each block in the list, (N, heads, tokens, tokens)."""
    blocks = [one for one in network.modules() if hasattr(one, "fused_attn") and isinstance(_drop(one), nn.Module)]
    fused = [block.fused_attn for block in blocks]
    held: list[Tensor] = []
    with ExitStack() as hooks:
        for block in blocks:
            block.fused_attn = False  # the fused product never holds the attention itself
            hooks.callback(_drop(block).register_forward_hook(lambda module, given, out: held.append(out)).remove)
        try:
            yield held
        finally:
            for block, before in zip(blocks, fused, strict=True):
                block.fused_attn = before


def _drop(block: nn.Module) -> nn.Module | None:
    """The module every attention passes through, which does nothing outside training."""
    return getattr(block, "attn_drop", None)
