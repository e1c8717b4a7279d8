"""How training can fail in ways the user can do something about."""

from __future__ import annotations

from typing import Any

import torch

from core.errors import DarkroomError

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


class Diverged(DarkroomError):
    """Training has left all sense: the loss is no longer a number, or has exploded.

    Attributes:
        epoch, step: where it was noticed, both from 1.
        loss: the loss there.
    """

    def __init__(self, message: str, fix: str, epoch: int, step: int, loss: float) -> None:
        super().__init__(message, fix)
        self.epoch, self.step, self.loss = epoch, step, loss


class OutOfMemory(DarkroomError):
    """A batch did not fit in memory.

    Attributes:
        state: as of the last step boundary, to go on from with smaller batches; it holds the model's own tensors. None
            where it happened while weights were being changed: then the last checkpoint is what there is.
    """

    def __init__(self, state: dict[str, Any] | None) -> None:
        super().__init__(
            "There is not enough memory for a batch.", "Lower optim.batch_size and raise optim.accumulate."
        )
        self.state = state


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python asked for memory and got none, on a GPU or the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
