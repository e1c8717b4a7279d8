"""Gradients of convolutions by products of large matrices, where that is the faster way on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from core.training.loop import winograd

# Pairs of channels, with places along the shorter side of the output, from which oneDNN's own code is slower:
_BY_TILES = ((64 * 64, 12), (128 * 128, 4))  # for kernels' gradients by `core.training.loop.winograd`,
_IMAGES_BY_TILES = ((128 * 128, 8), (256 * 256, 7))  # for images' gradients by it,
_BY_PATCHES = ((32 * 32, 12), (128 * 256, 1))  # for those of other kernels
SLAB_BYTES = 16_000_000  # of patches copied at a time, so that they are still in the cache when multiplied


def fast_gradients() -> AbstractContextManager[object]:
    """Inside it convolutions of float32 images in channels-last order have their gradients by matrix products.

    oneDNN's AVX2 code reaches 60 to 110 GFLOP/s for a kernel's gradient where the product of two matrices reaches 130
    (`benchmarks/LOG.md`); 3x3 kernels are spared three quarters of the multiplications as well. Outputs stay oneDNN's.
    The sums come in another order, so gradients are equal within floating-point tolerance, oneDNN's own being no
    closer to the truth, and equal to the last bit from run to run.
    """
    return _Convolutions()


class _Convolutions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.conv2d and not kwargs and len(args) == 7 and _serves(*args):
            return _Convolution.apply(*args[:5])
        return func(*args, **(kwargs or {}))


def _serves(
    images: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: str | tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> bool:
    num_out, channels, rows, columns = kernel.shape
    if isinstance(padding, str) or rows * columns == 1 or images.ndim != 4:
        return False
    height = (images.shape[2] + 2 * padding[0] - rows) // stride[0] + 1
    width = (images.shape[3] + 2 * padding[1] - columns) // stride[1] + 1
    return (
        _is_large(kernel, min(height, width), _BY_TILES if _has_tiles(kernel, stride, padding) else _BY_PATCHES)
        and kernel.requires_grad
        and torch.is_grad_enabled()
        and images.dtype is kernel.dtype is torch.float32
        and images.is_contiguous(memory_format=torch.channels_last)
        and dilation == (1, 1)
        and groups == 1
    )


def _has_tiles(kernel: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> bool:
    return kernel.shape[2:] == (3, 3) and stride == (1, 1) and max(padding) <= 2


def _is_large(kernel: Tensor, side: int, least: tuple[tuple[int, int], ...]) -> bool:
    return any(len(kernel) * kernel.shape[1] >= pairs and side >= places for pairs, places in least)


class _Convolution(torch.autograd.Function):
    """A convolution without dilation or groups; only its gradients are ours."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        kernel: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(images, kernel)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(images, kernel, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None, None]:
        images, kernel = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        of_images = image_gradient(images, grad, kernel, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        of_bias = grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images, kernel_gradient(images, grad, kernel, ctx.stride, ctx.padding), of_bias, None, None


def image_gradient(
    images: Tensor, grad: Tensor, kernel: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """The gradient of a convolution's images, float32 (N, C, H, W); arguments as `kernel_gradient` has them."""
    if _has_tiles(kernel, stride, padding) and _is_large(kernel, min(grad.shape[2:]), _IMAGES_BY_TILES):
        return winograd.image_gradient(grad, kernel, padding)
    wanted = [True, False, False]
    return torch.ops.aten.convolution_backward(
        grad, images, kernel, None, stride, padding, [1, 1], False, [0, 0], 1, wanted
    )[0]


def kernel_gradient(
    images: Tensor, grad: Tensor, kernel: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """The gradient of a convolution's kernel.

    Args:
        images: float32 (N, C, H, W), channels last.
        grad: of its output, float32 (N, K, height, width), channels last.
        kernel: (K, C, rows, columns); only its shape is read.

    Returns:
        float32 (K, C, rows, columns).
    """
    if _has_tiles(kernel, stride, padding):
        return winograd.kernel_gradient(images, grad, padding)
    channels, (num_out, _, rows, columns) = images.shape[1], kernel.shape
    height, width = grad.shape[2:]
    padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    by_image, by_row, by_column, _ = padded.stride()
    shape, strides = (len(images), height, width), (by_image, by_row * stride[0], by_column * stride[1])
    patches = padded.as_strided((*shape, rows, columns * channels), (*strides, by_row, 1))
    most = max(1, SLAB_BYTES // (patches[0].numel() * patches.element_size()))
    total = images.new_zeros(num_out, rows * columns * channels)
    for grads, slab in zip(grad.permute(0, 2, 3, 1).split(most), patches.split(most), strict=True):
        total.addmm_(grads.reshape(-1, num_out).t(), slab.reshape(-1, rows * columns * channels))
    return total.view(num_out, rows, columns, channels).permute(0, 3, 1, 2)
