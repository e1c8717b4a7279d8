"""Gradients of convolution kernels as products of large matrices, where that is the faster way on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Below these oneDNN's own code is as fast or faster.
LEAST_CHANNELS = 32
LEAST_SIDE = 12  # of the output, unless the kernel is as large as this:
LARGE_KERNEL = 128 * 256  # pairs of channels
SLAB_BYTES = 16_000_000  # of patches copied at a time, so that they are still in the cache when multiplied


def fast_kernel_gradients() -> AbstractContextManager[object]:
    """Inside it convolutions of float32 images in channels-last order learn their kernels by matrix products.

    oneDNN's AVX2 code reaches 60 to 110 GFLOP/s for a kernel's gradient where the product of two matrices reaches 130
    (`benchmarks/LOG.md`). Outputs and gradients of images stay oneDNN's. The sums come in another order, so the result
    is equal within floating-point tolerance, and to the last bit from run to run.
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
    if isinstance(padding, str) or channels < LEAST_CHANNELS or rows * columns == 1 or images.ndim != 4:
        return False
    height = (images.shape[2] + 2 * padding[0] - rows) // stride[0] + 1
    width = (images.shape[3] + 2 * padding[1] - columns) // stride[1] + 1
    return (
        (min(height, width) >= LEAST_SIDE or num_out * channels >= LARGE_KERNEL)
        and kernel.requires_grad
        and torch.is_grad_enabled()
        and images.dtype is kernel.dtype is torch.float32
        and images.is_contiguous(memory_format=torch.channels_last)
        and dilation == (1, 1)
        and groups == 1
    )


class _Convolution(torch.autograd.Function):
    """A convolution without dilation or groups; only the gradient of its kernel is ours."""

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
        of_images = None
        if ctx.needs_input_grad[0]:
            wanted = [True, False, False]
            of_images = torch.ops.aten.convolution_backward(
                grad, images, kernel, None, ctx.stride, ctx.padding, [1, 1], False, [0, 0], 1, wanted
            )[0]
        of_bias = grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images, kernel_gradient(images, grad, kernel, ctx.stride, ctx.padding), of_bias, None, None


def kernel_gradient(
    images: Tensor, grad: Tensor, kernel: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> Tensor:
    """The gradient of a convolution's kernel.

    Args:
        images: float32 (N, C, H, W), channels last.
        grad: of its output, float32 (N, K, height, width), channels last.
        kernel: (K, C, rows, columns); only its shape is read.

    Returns:
        float32 (K, C, rows, columns), channels last.
    """
    channels, (num_out, _, rows, columns) = images.shape[1], kernel.shape
    height, width = grad.shape[2:]
    padded = functional.pad(images.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    by_image, by_row, by_column, _ = padded.stride()
    grad = grad.permute(0, 2, 3, 1).reshape(len(images), height * width, num_out)
    if stride[0] == 1 and height >= LEAST_SIDE and width >= LEAST_SIDE:
        # Side by side: the pixels under one row of the kernel. Another row of it begins at another line of the image.
        shape, strides = (len(images), height + rows - 1, width), (by_image, by_row, by_column * stride[1])
        patches = padded.as_strided((*shape, columns * channels), (*strides, 1))
        total = images.new_zeros(rows, num_out, columns * channels)
        for first, slab in _slabs(patches):
            of_these = grad[first : first + len(slab)].transpose(1, 2)
            for row in range(rows):
                under = slab[:, row : row + height].view(len(slab), height * width, columns * channels)
                total[row] += torch.bmm(of_these, under).sum(dim=0)
        return total.view(rows, num_out, columns, channels).permute(1, 3, 0, 2)
    shape, strides = (len(images), height, width), (by_image, by_row * stride[0], by_column * stride[1])
    patches = padded.as_strided((*shape, rows, columns * channels), (*strides, by_row, 1))
    total = images.new_zeros(num_out, rows * columns * channels)
    for first, slab in _slabs(patches):
        of_these = grad[first : first + len(slab)].reshape(-1, num_out)
        total.addmm_(of_these.t(), slab.view(len(of_these), -1))
    return total.view(num_out, rows, columns, channels).permute(0, 3, 1, 2)


def _slabs(patches: Tensor) -> Iterator[tuple[int, Tensor]]:
    """A few images' patches at a time, copied into one place, each with the number of its first image."""
    most = max(1, min(len(patches), SLAB_BYTES // (patches[0].numel() * patches.element_size())))
    space = patches.new_empty(most, *patches.shape[1:])
    for first in range(0, len(patches), most):
        part = patches[first : first + most]
        yield first, space[: len(part)].copy_(part)
