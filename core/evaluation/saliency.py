"""Where in an image a network sees its answer: one map an image, for convolutional networks and transformers alike.

The map is HiResCAM (Draelos and Carin 2020): gradient times activation at a layer that still knows places, summed over
channels, its positive part. Where that layer is followed by a mean over places and one linear layer, it is the same as
Grad-CAM (Selvaraju et al. 2017); elsewhere it keeps what Grad-CAM's averaged gradients blur. Which layer that is nobody
has to say: `spatial_layers` finds those on offer, and `core.evaluation.saliency_checks` tells which explains best.
Networks with attention, and those without such a layer, have maps by `core.evaluation.windows`.

Neither captum nor grad-cam is used: both want the layer named by hand for each architecture, which is the difficult
part, and bring matplotlib, the second also OpenCV, for the thirty lines that remain.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.evaluation.explained import WINDOWS
from core.evaluation.windows import SIDE, window_maps

FEWEST_PLACES = 4  # places a side: a coarser layer says no more than "in this quarter"
MOST_LAYERS = 4
_NOTHING = 1e-12
_HEADS = ("num_heads", "n_heads")  # what torch's, torchvision's and timm's modules call them


@dataclass(frozen=True)
class Layer:
    """A module whose output still knows places.

    Attributes:
        name: in `named_modules()` of the network.
        side: places along each side.
        call: which of the module's calls in one forward pass, from 0.
    """

    name: str
    side: int
    call: int = 0


BY_WINDOWS = Layer(WINDOWS, SIDE)  # in place of a layer; no module's name has a space


def spatial_layers(network: nn.Module, images_NCHW: Tensor) -> list[Layer]:
    """Layers to make maps from, at most `MOST_LAYERS`, the coarsest first; or `BY_WINDOWS` alone.

    Of each resolution the last layer that the answer depends on at every place; of a network that has one resolution
    throughout also layers before it.

    Args:
        images_NCHW: two or more images as the network is given them; others of the same size have the same layers.
    """
    if any(hasattr(module, name) for module in network.modules() for name in _HEADS):
        return [BY_WINDOWS]
    found = _captured(network, images_NCHW, None)
    usable = [layer for layer, values, slopes in found if _depends_on_places(_by_place(values), slopes)]
    last_of: dict[int, Layer] = {layer.side: layer for layer in usable if layer.side >= FEWEST_PLACES}
    if not last_of:
        return [BY_WINDOWS]
    chosen = sorted(last_of.values(), key=lambda layer: layer.side)[: MOST_LAYERS - 1]
    if len(last_of) == 1:
        same = [layer for layer in usable if layer.side == chosen[0].side]
        depths = (len(same) - 1, round(0.9 * (len(same) - 1)), round(0.75 * (len(same) - 1)), len(same) // 2)
        chosen = [same[place] for place in dict.fromkeys(depths)]
    return chosen[:MOST_LAYERS]


def maps(network: nn.Module, images_NCHW: Tensor, classes: Sequence[int], layers: Sequence[Layer]) -> list[np.ndarray]:
    """For each layer the maps of all images: float32 (N, side, side), never negative, the largest of an image 1.

    The map of an image in which nothing speaks for the class is all zero.

    Args:
        network: in evaluation mode.
        classes: index of the class whose logit is explained, one an image.
    """
    targets = torch.as_tensor(list(classes), device=images_NCHW.device)
    if list(layers) == [BY_WINDOWS]:
        return [window_maps(network, images_NCHW, targets)]
    captured = {(one.name, one.call): rest for one, *rest in _captured(network, images_NCHW, targets, layers)}
    return [_map(*captured[layer.name, layer.call]) for layer in layers]


def combined(several: Sequence[np.ndarray]) -> np.ndarray:
    """What maps of several layers agree on: their product at the finest resolution, float32 (N, side, side)."""
    side = max(one.shape[1] for one in several)
    product = np.prod([_resized(one, side) for one in several], axis=0)
    return product / np.maximum(product.max(axis=(1, 2), keepdims=True), _NOTHING).astype(np.float32)


def ways_of(layers: Sequence[Layer]) -> list[list[Layer]]:
    """What maps can be made from: each layer by itself, and what all agree on where they differ in their places."""
    return [[layer] for layer in layers] + ([list(layers)] if len({layer.side for layer in layers}) > 1 else [])


def in_words(way: Sequence[Layer]) -> str:
    """One of `ways_of`, for people."""
    if len(way) > 1:
        return "what " + ", ".join(f"{layer.side} x {layer.side}" for layer in way) + " places agree on"
    return f"{way[0].name}, {way[0].side} x {way[0].side} places"


def of_way(found: Sequence[np.ndarray], layers: Sequence[Layer], way: Sequence[Layer]) -> np.ndarray:
    """The maps of a way, from those that `maps` gave of all layers."""
    chosen = [one for layer, one in zip(layers, found, strict=True) if layer in way]
    return chosen[0] if len(chosen) == 1 else combined(chosen)


def randomised(network: nn.Module, images_NCHW: Tensor, seed: int = 0) -> nn.Module:
    """A copy that has forgotten what it learned: the values of each weight tensor in random order.

    Scales stay, so its activations neither die nor explode; the running means of batch norms are taken anew from the
    images. For the check of Adebayo et al., "Sanity Checks for Saliency Maps" (2018).
    """
    other = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            flat = parameter.detach().cpu().flatten()
            order = torch.randperm(flat.numel(), generator=generator)
            parameter.copy_(flat[order].view_as(parameter))
    norms = [module for module in other.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    if norms:
        with torch.no_grad():
            other(images_NCHW)
    return other.eval()


_Capture = tuple[Layer, Tensor, Tensor]  # what a layer gave, and the slope of the explained logits by it


def _captured(
    network: nn.Module, images_NCHW: Tensor, targets: Tensor | None, layers: Sequence[Layer] | None = None
) -> list[_Capture]:
    """Outputs that know places, in the order they came, with gradients of the target logits, by default the largest."""
    wanted = None if layers is None else {layer.name for layer in layers}
    held: list[tuple[Layer, Tensor]] = []
    calls: dict[str, int] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            call = calls[name] = calls.get(name, -1) + 1
            if isinstance(output, Tensor) and output.requires_grad and (side := _side(output, len(images_NCHW))):
                held.append((Layer(name, side, call), output))

        return hook

    with ExitStack() as hooks, torch.enable_grad():
        for name, module in network.named_modules():
            if name and (wanted is None or name in wanted):
                hooks.callback(module.register_forward_hook(keep(name)).remove)
        logits = network(images_NCHW.detach().requires_grad_())
        explained = logits.max(dim=1).values if targets is None else logits.gather(1, targets[:, None])
        slopes = torch.autograd.grad(explained.sum(), [values for _, values in held], allow_unused=True) if held else ()
    return [
        (layer, values.detach(), slope)
        for (layer, values), slope in zip(held, slopes, strict=True)
        if slope is not None
    ]


def _side(output: Tensor, num_images: int) -> int:
    """Places along a side of (N, C, H, W) or (N, H, W, C); 0 where it knows no places."""
    shape = output.shape
    if len(shape) == 4 and shape[0] == num_images and (shape[2] == shape[3] or shape[1] == shape[2]):
        return shape[2] if shape[2] > 1 else 0
    return 0


def _by_place(values: Tensor) -> Tensor:
    """(N, side, side, channels)."""
    return values.permute(0, 2, 3, 1) if values.shape[2] == values.shape[3] else values


def _depends_on_places(values: Tensor, slopes: Tensor) -> bool:
    return bool((_by_place(slopes).abs().amax(dim=3) > _NOTHING).any()) and values.shape[3] > 1


def _map(values: Tensor, slopes: Tensor) -> np.ndarray:
    found = (_by_place(values) * _by_place(slopes)).sum(dim=3).clamp(min=0)
    return (found / found.amax(dim=(1, 2), keepdim=True).clamp(min=_NOTHING)).float().cpu().numpy()


def _resized(maps_NHW: np.ndarray, side: int) -> np.ndarray:
    if maps_NHW.shape[1] == side:
        return maps_NHW
    enlarged = nn.functional.interpolate(torch.from_numpy(maps_NHW)[:, None], size=(side, side), mode="bilinear")
    return enlarged[:, 0].numpy()
