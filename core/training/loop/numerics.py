"""How numbers are computed: precision, order of images in memory, compilation, determinism; each "auto" by device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.config import RuntimeConfig
from core.errors import InputError
from core.training.loop.chains import Chain, is_chain
from core.training.loop.convolutions import fast_gradients

# Compiling takes about a minute and saves some tenths of a step, so a run must have this many to gain by it.
STEPS_WORTH_COMPILING = 5_000


@dataclass(frozen=True)
class Numerics:
    """What `auto` has come to.

    Attributes:
        dtype: what layers that bear it compute in; None: all in float32.
        channels_last: images and kernels with the channels of a pixel side by side.
        compiled: through torch.compile.
        chained: the network is computed as a `core.training.loop.chains.Chain`.
    """

    device: torch.device
    dtype: torch.dtype | None
    channels_last: bool
    compiled: bool
    chained: bool = False

    def forward(self) -> AbstractContextManager[object]:
        """For the time of a forward pass: precision, and how gradients will be computed."""
        if self.dtype is not None:
            return torch.autocast(self.device.type, self.dtype)
        # A compiled network has been taken apart before; without channels last the matrices would have to be copied.
        is_served = self.device.type == "cpu" and self.channels_last and not self.compiled
        return fast_gradients() if is_served else nullcontext()

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps gradients from vanishing in fp16; does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)

    def place(self, model: nn.Module) -> None:
        """Move the model to the device and into this order of memory, in place."""
        if self.channels_last:
            model.to(device=self.device, memory_format=torch.channels_last)
        else:
            model.to(self.device)

    def network(self, model: nn.Module) -> nn.Module:
        """What answers in the model's place, with its weights."""
        return Chain(model) if self.chained else model

    def arranged(self, inputs: Tensor) -> Tensor:
        """Images in this order of memory; features as they are."""
        if self.channels_last and inputs.ndim == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def words(self) -> str:
        """For the log: `float32, channels last`."""
        parts = [str(self.dtype or torch.float32).removeprefix("torch.")]
        named = {"channels last": self.channels_last, "oneDNN's order": self.chained, "compiled": self.compiled}
        return ", ".join(parts + [name for name, is_so in named.items() if is_so])


PLAIN = Numerics(torch.device("cpu"), None, channels_last=False, compiled=False)


def choose_numerics(runtime: RuntimeConfig, device: torch.device, num_steps: int, model: nn.Module) -> Numerics:
    """Settle every `auto`.

    Args:
        num_steps: of the whole run, since compiling pays only in a long one.
        model: what will learn; some networks have a better order of memory.
    """
    on_gpu = device.type == "cuda"
    dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16, "auto": None}[runtime.precision]
    if runtime.precision == "auto" and on_gpu:
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    worth_compiling = on_gpu and num_steps >= STEPS_WORTH_COMPILING
    compiled = runtime.compile == "on" or (runtime.compile == "auto" and worth_compiling)
    may_choose = runtime.channels_last == "auto"
    chained = may_choose and device.type == "cpu" and dtype is None and not compiled and is_chain(model)
    channels_last = runtime.channels_last == "on" or (may_choose and not chained and (dtype is not None or not on_gpu))
    return Numerics(device, dtype, channels_last, compiled, chained)


def compile_model(model: nn.Module, must: bool) -> nn.Module:
    """The model through torch.compile; parts it cannot compile are computed as before unless it `must`."""
    if not must:
        from torch import _dynamo

        _dynamo.config.suppress_errors = True
    return cast(nn.Module, torch.compile(model))


@contextmanager
def numerical_mode(runtime: RuntimeConfig, device: torch.device) -> Iterator[None]:
    """Inside it torch computes the same to the last bit, or as fast as it can, as the settings ask.

    Raises:
        InputError: the network has a step that cannot be computed the same way twice on this device, or that
            torch.compile was told to compile and cannot.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if runtime.deterministic and device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(runtime.deterministic)
    torch.backends.cudnn.benchmark = not runtime.deterministic
    try:
        yield
    except RuntimeError as error:
        cause = str(error).strip().splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise InputError(
                f"torch.compile cannot compile this network on this machine: {cause}.", "Set runtime.compile = off."
            ) from error
        if runtime.deterministic and "deterministic" in str(error):
            raise InputError(
                f"This network cannot be trained the same way twice on {device.type}: {cause}.",
                "Set runtime.deterministic = false, or runtime.device = cpu.",
            ) from error
        raise
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
