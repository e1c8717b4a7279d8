"""Darkroom's own small networks, for learning small images from nothing."""

from __future__ import annotations

from torch import Tensor, nn

from core.errors import InputError
from core.training.models.network import Backbone


def small_cnn(image_size: int) -> Backbone:
    """Three blocks of 3x3 convolution, batch norm, ReLU and pooling, then the mean over positions."""
    widths = (3, 32, 64, 128)
    blocks = [
        layer
        for num_in, num_out in zip(widths, widths[1:], strict=False)
        for layer in (*_normed(num_in, num_out), nn.MaxPool2d(2))
    ]
    return Backbone(nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), widths[-1])


def cnn_3_blocks(image_size: int) -> Backbone:
    """Blocks of 16, 32 and 64 channels, half of their outputs dropped, and a hidden layer of 128 units."""
    widths = (3, 16, 32, 64)
    blocks = [layer for num_in, num_out in zip(widths, widths[1:], strict=False) for layer in _plain(num_in, num_out)]
    positions = (image_size // 8) ** 2
    hidden = [nn.Flatten(), nn.Dropout(0.5), nn.Linear(widths[-1] * positions, 128), nn.ReLU(inplace=True)]
    return Backbone(nn.Sequential(*blocks, *hidden), 128)


def cnn_2_blocks(image_size: int) -> Backbone:
    """Blocks of 32 and 64 channels and a hidden layer of 512 units: what most tutorials begin with."""
    positions = (image_size // 4) ** 2
    hidden = [nn.Flatten(), nn.Linear(64 * positions, 512), nn.ReLU(inplace=True)]
    return Backbone(nn.Sequential(*_plain(3, 32), *_plain(32, 64), *hidden), 512)


def cnn_5x5(image_size: int) -> Backbone:
    """The 14-layer net of CIFAR-10 tutorials: 5x5 convolutions of 12, 12, 24 and 24 channels with batch norm."""

    def layers(num_in: int, num_out: int) -> list[nn.Module]:
        return [nn.Conv2d(num_in, num_out, 5, padding=1), nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)]

    side = (image_size - 4) // 2 - 4  # each 5x5 convolution padded by 1 takes 2 pixels off, the pooling halves
    if side < 1:
        raise InputError(f"cnn_5x5 cannot take images of {image_size} px.", "Set preprocess.image_size to 14 or more.")
    first, second = [*layers(3, 12), *layers(12, 12)], [*layers(12, 24), *layers(24, 24)]
    return Backbone(nn.Sequential(*first, nn.MaxPool2d(2), *second, nn.Flatten()), 24 * side**2)


class _Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        return features * self.factor


def fast_cnn(image_size: int, widths: tuple[int, int, int, int] = (8, 16, 64, 128)) -> Backbone:
    """Airbench made for processors rather than graphics cards: 13 million multiplications an image of 32 px.

    From K. Jordan's airbench ("94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024) come a shape, a 2x2 convolution
    and three blocks of two 3x3 ones that halve the side, pooling before normalising, and features scaled down, without
    which the last layer learns too fast. Ours are the widths: at full size a convolution waits for memory most of the
    time, so there it has few channels.
    """
    layers = _normed(3, widths[0], kernel=2, padding=0)
    for num_in, num_out in zip(widths, widths[1:], strict=False):
        layers += [*_pooled(num_in, num_out), *_normed(num_out, num_out)]
    return Backbone(nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), _Scale(1 / 8)), widths[-1])


def fast_cnn_wide(image_size: int) -> Backbone:
    """`fast_cnn` with 51 million multiplications an image of 32 px: better where there is time."""
    return fast_cnn(image_size, (16, 48, 128, 256))


def initialise(network: nn.Module, init: str) -> None:
    """Draw all weights anew: `kaiming` (He et al. 2015) or `xavier` (Glorot and Bengio 2010); biases are zero.

    The last layer feeds no ReLU, so its weights keep Glorot's scale in both. `identity` is `kaiming`, but the first
    kernels of a hidden convolution, one for each channel it is given, hand that channel on (airbench, Jordan 2024).
    """
    matrices = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    for module in matrices:
        if init == "xavier" or module is matrices[-1]:
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if init == "identity" and isinstance(module, nn.Conv2d) and module is not matrices[0] and module.groups == 1:
            nn.init.dirac_(module.weight[: module.in_channels])
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normed(num_in: int, num_out: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(num_in, num_out, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)]


def _pooled(num_in: int, num_out: int) -> list[nn.Module]:
    convolution, *rest = _normed(num_in, num_out)
    return [convolution, nn.MaxPool2d(2), *rest]


def _plain(num_in: int, num_out: int) -> list[nn.Module]:
    return [nn.Conv2d(num_in, num_out, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
