"""One step of learning: gradients of a few batches, then one change of weights, or nothing changed at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.config import OptimConfig
from core.training.distributed import Ranks
from core.training.loop.averaging import Average
from core.training.loop.boundaries import Boundary
from core.training.loop.faults import is_out_of_memory
from core.training.loop.losses import Loss, named_classes
from core.training.loop.numerics import Numerics
from core.training.loop.optimizers import Optimizers


class NoMemory(Exception):
    """A step did not fit in memory; `is_whole` tells whether everything is as it was before it."""

    def __init__(self, is_whole: bool) -> None:
        super().__init__()
        self.is_whole = is_whole


@dataclass(frozen=True)
class Step:
    """What one step was like.

    Attributes:
        figures: what `Tally.add` takes, on the device.
        seconds: in all; `waiting_s` of them for images.
    """

    figures: Tensor
    seconds: float
    waiting_s: float


class Stepper:
    """Makes steps.

    Attributes:
        forward: the model, wrapped and compiled as need be; may be exchanged between steps.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Optimizers,
        loss: Loss,
        average: Average | None,
        optim: OptimConfig,
        numerics: Numerics,
        ranks: Ranks,
    ) -> None:
        self.forward = numerics.network(model)
        self._optimizers, self._loss, self._average = optimizers, loss, average
        self._optim, self._numerics, self._ranks = optim, numerics, ranks
        self._boundary = Boundary(model, numerics.device)
        self.scaler = numerics.scaler()
        self._unmeasured = torch.full((1,), torch.nan, device=numerics.device)

    def step(
        self, batches: Iterator[tuple[Tensor, Tensor]], sizes: Sequence[int], should_stop: Callable[[], bool]
    ) -> Step | None:
        """Learn from as many batches as there are sizes, then change the weights once.

        Args:
            sizes: images of each batch, over all processes.
            should_stop: asked before every batch.

        Returns:
            None when asked to stop: then everything is as before.

        Raises:
            NoMemory: there was not enough.
        """
        self._boundary.take()
        began, waiting_s, is_whole = time.perf_counter(), 0.0, True
        figures = None
        try:
            for index in range(len(sizes)):
                if should_stop():
                    self._take_back()
                    return None
                asked = time.perf_counter()
                inputs, targets = next(batches)
                waiting_s += time.perf_counter() - asked
                part = self._gradients(inputs, targets, sum(sizes), is_last=index == len(sizes) - 1)
                figures = part if figures is None else figures + part
            norm = self._finish_gradients()
            is_whole = False
            self._change_weights()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            assert figures is not None
            return Step(torch.cat([figures, norm]), time.perf_counter() - began, waiting_s)
        # Outside the handler, whose error holds on to the frames, and so to the memory, of the whole batch.
        self._take_back()
        raise NoMemory(is_whole)

    def _gradients(self, inputs: Tensor, targets: Tensor, num_images: int, is_last: bool) -> Tensor:
        """Add one batch's share to the gradients of the mean loss over the step's images; its summed loss and hits."""
        with nullcontext() if is_last else self._ranks.quiet(self.forward):
            with self._numerics.forward():
                logits = self.forward(self._numerics.arranged(inputs))
            logits = logits.float()
            loss = self._loss(logits, targets)
            # Processes average their gradients, hence the number of them.
            self.scaler.scale(loss * (self._ranks.size / num_images)).backward()
        hits = (logits.detach().argmax(dim=1) == named_classes(targets)).sum()
        return torch.stack([loss.detach(), hits])

    def _finish_gradients(self) -> Tensor:
        """Clip where asked to; the length before that, float32 (1,)."""
        self._optimizers.gather_gradients()
        if not self._optim.clip_norm:
            return self._unmeasured
        for part in self._optimizers.parts:
            self.scaler.unscale_(part)
        return nn.utils.clip_grad_norm_(self._optimizers.parameters, self._optim.clip_norm).float().view(1)

    def _change_weights(self) -> None:
        for part in self._optimizers.parts:
            self.scaler.step(part)
        self.scaler.update()
        self._optimizers.zero_grad()
        if self._average is not None:
            self._average.update()

    def _take_back(self) -> None:
        self._optimizers.zero_grad()
        self._boundary.put_back()
