"""Small networks on a processor, with images between their layers in oneDNN's own order of memory."""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

from core.training.models.network import Network

_KNOWING = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)  # layers that take and give oneDNN's order
_MACHINES = ("x86_64", "amd64")  # where it was found to be faster
_WIDE = 128 * 128  # pairs of channels from which `core.training.loop.convolutions` is the faster way


class Chain(nn.Module):
    """A network whose backbone is one layer after the other; it answers and learns as the network itself does.

    PyTorch puts images into an order that suits oneDNN before a convolution and back after it, and its own batch norm
    wants many channels, or none, side by side. Left in oneDNN's order until a layer does not know it, training steps
    of small networks are 1.1 to 1.4 times as fast (`benchmarks/LOG.md`). Answers and gradients are equal within
    floating-point tolerance, and equal to the last bit from run to run.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network, Network)
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.network.backbone.children():
            # oneDNN's batch norm has no gradients where it is asleep.
            is_known = isinstance(layer, _KNOWING) and images.ndim == 4 and (layer.training or not images.requires_grad)
            if is_known and not images.is_mkldnn:
                images = images.to_mkldnn()
            elif not is_known and images.is_mkldnn:
                images = images.to_dense()
            images = layer(images)
        return self.network.head(images.to_dense() if images.is_mkldnn else images)


def is_chain(model: nn.Module) -> bool:
    """Whether it is one, of layers and for a processor that are the faster for it."""
    if not (isinstance(model, Network) and isinstance(model.backbone, nn.Sequential)):
        return False
    layers = list(model.backbone)
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    return (
        torch.backends.mkldnn.is_available()
        and platform.machine().lower() in _MACHINES
        and bool(convolutions)
        and not any(list(layer.children()) for layer in layers)
        and all(layer.in_channels * layer.out_channels < _WIDE for layer in convolutions)
    )
