"""Gradients by matrix products are oneDNN's, whichever way they are computed."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from core.training.loop import convolutions, winograd
from core.training.loop.convolutions import fast_gradients

# Images, channels, side, then kernels, side of the kernel, stride, padding.
BY_TILES = (3, 64, 14, 64, 3, 1, 1)
IMAGES_TOO = (3, 128, 17, 136, 3, 1, (0, 2))
SMALL_AND_DEEP = (5, 512, 7, 512, 3, 1, 1)
WHOLE = (5, 128, 6, 256, 5, 1, 2)
STRIDED = (4, 64, 25, 16, 3, 2, 1)
UNPADDED = (2, 32, 20, 32, 5, 1, 0)
UNEVEN = (2, 32, 26, 32, (3, 5), (1, 2), (0, 2))
Shape = tuple[int, int, int, int, int | tuple[int, int], int | tuple[int, int], int | tuple[int, int]]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every gradient computed our way."""
    calls: list[int] = []
    ours = convolutions.kernel_gradient

    def count(*given: object) -> Tensor:
        calls.append(1)
        return ours(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(convolutions, "kernel_gradient", count)
    return calls


def _gradients(shape: Shape, has_bias: bool, ours: bool) -> tuple[list[Tensor], Tensor]:
    """Those of images, kernel and bias, and the output."""
    count, channels, side, num_out, kernel, stride, padding = shape
    torch.manual_seed(1)
    layer = nn.Conv2d(channels, num_out, kernel, stride, padding, bias=has_bias).to(memory_format=torch.channels_last)
    images = torch.randn(count, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
    with fast_gradients() if ours else nullcontext():
        out = layer(images)
    (out * torch.randn(out.shape)).sum().backward()
    assert images.grad is not None
    return [images.grad, *(parameter.grad for parameter in layer.parameters() if parameter.grad is not None)], out


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("shape", [BY_TILES, IMAGES_TOO, SMALL_AND_DEEP, WHOLE, STRIDED, UNPADDED, UNEVEN])
@pytest.mark.parametrize("in_slabs", [False, True])
def test_gradients_are_those_of_torch(
    shape: Shape, has_bias: bool, in_slabs: bool, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_slabs:
        monkeypatch.setattr(convolutions, "SLAB_BYTES", 1)
        monkeypatch.setattr(winograd, "SLAB_BYTES", 1)
        monkeypatch.setattr(winograd, "SLAB_TILES", 1)
    (wanted, out), (found, ours) = _gradients(shape, has_bias, ours=False), _gradients(shape, has_bias, ours=True)
    assert len(counted) == 1 and len(wanted) == len(found) == 2 + has_bias
    torch.testing.assert_close(ours, out, rtol=0, atol=0)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
        assert one.stride() == other.stride()


def test_the_same_bits_twice(counted: list[int]) -> None:
    for shape in (IMAGES_TOO, WHOLE):
        (first, _), (second, _) = _gradients(shape, False, ours=True), _gradients(shape, False, ours=True)
        assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert len(counted) == 4


def test_filtering_in_tiles_is_no_further_from_the_truth_than_a_rounding_error() -> None:
    torch.manual_seed(0)
    images, grad, kernel = (torch.randn(shape).double() for shape in ((4, 16, 13, 10), (4, 24, 13, 10), (24, 16, 3, 3)))
    both = [True, True, False]
    wanted = torch.ops.aten.convolution_backward(
        grad, images, kernel, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, both
    )
    given = [one.float().to(memory_format=torch.channels_last) for one in (images, grad, kernel)]
    found = winograd.image_gradient(given[1], given[2], (1, 1)), winograd.kernel_gradient(given[0], given[1], (1, 1))
    for one, other in zip(found, wanted, strict=False):
        assert float((one - other).abs().max() / other.abs().max()) < 3e-5


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(64, 64, 3, groups=64),
        nn.Conv2d(64, 64, 3, dilation=2),
        nn.Conv2d(64, 64, 3, padding="same"),
        nn.Conv2d(64, 64, 3).requires_grad_(False),
        nn.Conv2d(64, 64, 3).double(),
    ],
)
def test_other_convolutions_are_left_alone(layer: nn.Conv2d, counted: list[int]) -> None:
    images = torch.randn(2, 64, 20, 20, dtype=layer.weight.dtype).to(memory_format=torch.channels_last)
    images.requires_grad_()
    with fast_gradients():
        layer(images).sum().backward()
    assert images.grad is not None and not counted


def test_nothing_is_recorded_where_no_gradient_is_asked_for(counted: list[int]) -> None:
    images = torch.randn(2, 64, 20, 20).to(memory_format=torch.channels_last)
    layer = nn.Conv2d(64, 8, 3)
    with fast_gradients(), torch.inference_mode():
        assert layer(images).is_inference()
    assert not counted
