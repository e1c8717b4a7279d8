"""Gradients of 3x3 convolutions of stride 1 by Winograd's minimal filtering, with a quarter of the multiplications.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), with tiles of 4x4 places; the
matrices are Toom's and Cook's: polynomials are multiplied by their values at a few points.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.polynomial import polynomial
from torch import Tensor
from torch.nn import functional

TILE = 4  # places along each side that are worked on together
_POINTS = (0, 1, -1, 2, -2)  # and infinity
_SPREAD = len(_POINTS) + 1  # values along each side of a tile once it is transformed
# A slab of images is worked on at a time, few enough to stay in the cache, with enough tiles to be worth a product.
SLAB_BYTES, SLAB_TILES = 4_000_000, 128


def kernel_gradient(images: Tensor, grad: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient of the kernel.

    Args:
        images: float32 (N, C, H, W), channels last.
        grad: of the output, float32 (N, K, H + 2 padding - 2, ...), channels last.

    Returns:
        float32 (K, C, 3, 3).
    """
    channels, (num_out, height, width) = images.shape[1], grad.shape[1:]
    back, of_grads, of_images = _matrices(3, TILE)
    grads = _tiles(grad, TILE, (0, 0), (height, width))
    under = _tiles(images, TILE + 2, padding, (height, width))
    total = images.new_zeros(_SPREAD**2, num_out, channels)
    for some in _slabs(under):
        total.baddbmm_(_transformed(of_grads, grads[:, :, some]).mT, _transformed(of_images, under[:, :, some]))
    return (back @ total.flatten(1)).view(3, 3, num_out, channels).permute(2, 3, 0, 1)


def image_gradient(grad: Tensor, kernel: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient of the images, (N, C, H, W), channels last; arguments as `kernel_gradient` has them.

    It is the convolution of the output's gradient with the kernel turned by half and its channels exchanged.
    """
    num_out, channels = kernel.shape[:2]
    height, width = (side + 2 - 2 * before for side, before in zip(grad.shape[2:], padding, strict=True))
    back, of_kernels, of_grads = _matrices(TILE, 3)
    turned = (of_kernels @ kernel.flip(2, 3).permute(2, 3, 0, 1).reshape(9, -1)).view(_SPREAD**2, num_out, channels)
    tiles = _tiles(grad, TILE + 2, (2 - padding[0], 2 - padding[1]), (height, width))
    number, high, wide = tiles.shape[2:5]
    found = grad.new_empty(number, high, TILE, wide, TILE, channels)
    for some in _slabs(tiles):
        products = torch.bmm(_transformed(of_grads, tiles[:, :, some]), turned)
        found[some] = (back @ products.flatten(1)).view(TILE, TILE, -1, high, wide, channels).permute(2, 3, 0, 4, 1, 5)
    whole = found.view(number, high * TILE, wide * TILE, channels)[:, :height, :width].permute(0, 3, 1, 2)
    return whole.contiguous(memory_format=torch.channels_last)


def _tiles(images: Tensor, side: int, before: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Tiles that begin `TILE` places apart: a view (side, side, N, high, wide, C) of a padded copy.

    Args:
        images: channels last.
        before: rows and columns of zeros before the first.
        size: height and width of what the tiles are to cover, `TILE` by `TILE` each.
    """
    number, channels, *given = images.shape
    many = [-(-one // TILE) for one in size]
    after = [TILE * (tiles - 1) + side - first - one for tiles, first, one in zip(many, before, given, strict=True)]
    padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, before[1], after[1], before[0], after[0]))
    by_image, by_row, by_column, _ = padded.stride()
    strides = (by_row, by_column, by_image, TILE * by_row, TILE * by_column, 1)
    return padded.as_strided((side, side, number, *many, channels), strides)


def _slabs(tiles: Tensor) -> list[slice]:
    number, high, wide, channels = tiles.shape[2:]
    bytes_each = _SPREAD**2 * high * wide * channels * tiles.element_size()
    most = max(SLAB_BYTES // bytes_each, SLAB_TILES // (high * wide), 1)
    return [slice(first, first + most) for first in range(0, number, most)]


def _transformed(matrix: Tensor, tiles: Tensor) -> Tensor:
    """(side, side, images, high, wide, channels) -> (_SPREAD**2, tiles, channels)."""
    return (matrix @ tiles.reshape(matrix.shape[1], -1)).view(_SPREAD**2, -1, tiles.shape[-1])


@lru_cache(maxsize=2)
def _matrices(num_outputs: int, num_taps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of results, filters and inputs: y = A (F f * I i) gives `num_outputs` places of i filtered with `num_taps` of f.

    Each is the Kronecker product of the one for a line with itself, so that it takes a square, row after row.
    """
    powers = np.arange(max(num_outputs, num_taps))
    points = np.array(_POINTS, float)
    results, filters, inputs = np.zeros((num_outputs, _SPREAD)), np.zeros((_SPREAD, num_taps)), np.zeros((_SPREAD,) * 2)
    for place, point in enumerate(points):
        others = np.delete(points, place)
        results[:, place] = point ** powers[:num_outputs]
        filters[place] = point ** powers[:num_taps] / np.prod(point - others)
        inputs[place, :-1] = polynomial.polyfromroots(others)
    results[-1, -1] = filters[-1, -1] = 1
    inputs[-1] = polynomial.polyfromroots(points)
    of_results, of_filters, of_inputs = (
        torch.tensor(np.kron(one, one), dtype=torch.float32) for one in (results, filters, inputs)
    )
    return of_results, of_filters, of_inputs
