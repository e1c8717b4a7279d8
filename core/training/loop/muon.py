"""Muon for CPUs: torch's own, but in float32, since most CPUs multiply bfloat16 matrices very slowly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration (Jordan 2024), as in torch.optim.Muon
_NUM_ITERATIONS = 5


class FloatMuon(torch.optim.Muon):
    """`torch.optim.Muon` with adjust_lr_fn="match_rms_adamw" and Nesterov momentum, but for the precision.

    Where torch takes 72 ms for the kernels of fast_cnn, this takes 4 (one core without bfloat16 instructions).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                velocity = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
                update = orthogonalised(matrix.grad.lerp(velocity, momentum))
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(update, alpha=-rate * 0.2 * max(matrix.shape) ** 0.5)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Roughly U V^T of the float32 matrix U S V^T: singular values of about 0.5 to 1.5 in place of S."""
    a, b, c = _COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if is_tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(_NUM_ITERATIONS):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if is_tall else found
