"""Where a network sees its answer, found by hiding and showing windows of the image; for networks of any kind.

In a transformer every place soon holds something of all others, so neither gradients at its layers nor what its
attention handed on says much of where: on patches whose place is known both put half their mass elsewhere. What the
answer does when a window is hidden needs no such trace. Source: Zeiler and Fergus, "Visualizing and Understanding
Convolutional Networks" (2014), section 4.2; the windows shown by themselves are the other half of the same question.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

SIDE = 12  # places along each side of a map
_WINDOW = 4  # places along each side of a window: smaller ones move few answers
_BEYOND = 1  # places by which windows reach over the image's edge, so that places there are in several too
_SHAPELESS = 5  # places a side to which an image is averaged where no shape is to be left
_BATCH = 64
_NOTHING = 1e-6  # of probability
_HELD = 6.0  # how much places are held near nothing, next to windows counting 1: see `_shares`


def window_maps(network: nn.Module, images_NCHW: Tensor, classes: Tensor, seed: int = 0) -> np.ndarray:
    """One map an image: float32 (N, SIDE, SIDE), never negative, the largest of an image 1 or all zero.

    A place has its share of the answer's falls where windows are hidden, times its share of the rises where they are
    shown. It takes some 240 passes an image.

    Args:
        network: in evaluation mode.
        classes: index of the class explained, int64 (N,).
    """
    return np.stack([_map(network, image, int(one), seed) for image, one in zip(images_NCHW, classes, strict=True)])


def _map(network: nn.Module, image_CHW: Tensor, explained: int, seed: int) -> np.ndarray:
    def answers(images: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [network(part).softmax(dim=1)[:, explained] for part in images.split(_BATCH)]
        return torch.cat(parts)

    # To most networks one cover says as much as an image of some class would: that which says least for the answer.
    covers = _covers(image_CHW, seed)
    whole, *hidden = answers(torch.stack([image_CHW, *covers])).tolist()
    least = min(range(len(covers)), key=hidden.__getitem__)
    windows = _windows()
    over = _enlarged(windows.to(image_CHW.device), image_CHW.shape[1])
    falls = whole - answers(torch.where(over, covers[least], image_CHW))
    rises = answers(torch.where(over, image_CHW, covers[least])) - hidden[least]
    within = windows.flatten(1).double().numpy()
    both = _shares(within, falls) * _shares(within, rises)
    return (both / max(both.max(), _NOTHING**2)).astype(np.float32).reshape(SIDE, SIDE)


def _shares(within: np.ndarray, moved: Tensor) -> np.ndarray:
    """What each place contributes: non-negative numbers whose sums over windows come nearest to what those moved.

    A mean over the windows a place is in would spread what it does over its neighbours. Least squares with a penalty
    on squares (Lawson and Hanson, "Solving Least Squares Problems", 1974, chapters 23 and 25), else a few places would
    stand for all around them.

    Args:
        within: (windows, places), 1 where a window covers a place.
    """
    from scipy.optimize import nnls

    held = np.vstack([within, _HELD * np.eye(within.shape[1])])
    wanted = moved.clamp(min=0).double().cpu().numpy()
    return nnls(held, np.append(wanted, np.zeros(within.shape[1])), maxiter=100 * within.shape[1])[0]


def _covers(image_CHW: Tensor, seed: int) -> list[Tensor]:
    """The same kinds as `core.evaluation.saliency_checks` has, here of inputs: mean, without shapes, mixed pixels."""
    size = image_CHW.shape[-2:]
    mean = image_CHW.mean(dim=(1, 2), keepdim=True).expand_as(image_CHW)
    few = nn.functional.adaptive_avg_pool2d(image_CHW[None], _SHAPELESS)
    blurred = nn.functional.interpolate(few, size=size, mode="bilinear")[0]
    order = torch.randperm(size.numel(), generator=torch.Generator().manual_seed(seed)).to(image_CHW.device)
    return [mean, blurred, image_CHW.flatten(1)[:, order].view_as(image_CHW)]


def _windows() -> Tensor:
    """Each window as the places it covers: bool (windows, SIDE, SIDE)."""
    starts = range(-_BEYOND, SIDE - _WINDOW + _BEYOND + 1)
    place = torch.arange(SIDE)
    lines = torch.stack([(place >= start) & (place < start + _WINDOW) for start in starts])
    return (lines[:, None, :, None] & lines[None, :, None, :]).flatten(0, 1)


def _enlarged(windows: Tensor, size: int) -> Tensor:
    """The pixels of each window: bool (windows, 1, size, size)."""
    place_of = torch.arange(size, device=windows.device) * SIDE // size
    return windows[:, place_of][:, :, place_of][:, None]
