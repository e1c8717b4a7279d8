"""Fits a run's model and keeps what it learned: a checkpoint every few seconds, smaller batches where memory runs out,
and notes for the log, the page and TensorBoard.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.errors import DarkroomError, MemoryTooSmall
from core.files import append_jsonl, read_jsonl, write_bytes
from core.training.batching.batches import Batches
from core.training.distributed import is_lost_peer
from core.training.loop.engine import Callbacks, OutOfMemory, Progress, fit
from core.training.models.groups import ParameterGroup
from core.training.reporting import Report
from core.training.setup import Setup
from core.training.tensorboard import EventWriter

CHECKPOINT_EVERY_S = 5.0
MOST_OF_THE_TIME = 0.05  # that writing checkpoints may take: large networks are saved less often
Log = Callable[[str], None]


class Checkpoint:
    """The file that a run goes on from: the engine's state at a step boundary, and what batches it was with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written_at = time.monotonic()
        self._cost_s = 0.0
        self._unwritten: bytes | None = None

    def is_due(self) -> bool:
        """Whether enough time has passed since the last one was written."""
        return time.monotonic() - self._written_at >= max(CHECKPOINT_EVERY_S, self._cost_s / MOST_OF_THE_TIME)

    def take(self, content: dict[str, Any], at_once: bool = False) -> None:
        """Keep a copy of this state, whose tensors will go on changing; it is written if due or asked to."""
        began = time.monotonic()
        buffer = BytesIO()  # by way of memory: writing to a full disk, torch raises an error that does not say so
        torch.save(content, buffer)
        self._unwritten = buffer.getvalue()
        if at_once or self.is_due():
            self.write()
            self._cost_s = self._written_at - began

    def write(self) -> None:
        """Write what was taken last, unless it is written already."""
        if self._unwritten is not None:
            write_bytes(self.path, self._unwritten)
            self._written_at, self._unwritten = time.monotonic(), None

    def load(self) -> dict[str, Any] | None:
        """What was written last, or None.

        Raises:
            DarkroomError: the file is damaged, or an earlier version of Darkroom wrote it.
        """
        if not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file makes the reader raise nearly anything
            raise DarkroomError(
                f"{self.path} is damaged or not a checkpoint.", "Delete it to train this run from the start."
            ) from error
        if "state" not in found:
            raise DarkroomError(
                f"{self.path} was written by an earlier version of Darkroom.",
                "Delete it to train this run from the start.",
            )
        return found


class Session:
    """One run's fitting, from its checkpoint if there is one.

    Args:
        metrics: the file that gets a line an epoch.
        events: None in a process that does not write.
    """

    def __init__(
        self,
        setup: Setup,
        checkpoint: Checkpoint,
        metrics: Path,
        report: Report,
        log: Log,
        events: EventWriter | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self._metrics = metrics
        self._setup, self._report, self._log, self._events = setup, report, log, events
        self._batch_size, self._accumulate = setup.config.optim.batch_size, setup.config.optim.accumulate

    def fit(self, model: nn.Module, groups: list[ParameterGroup] | None, train: Batches, val: Batches) -> Progress:
        """Fit, and leave the kept epoch's weights in `model`.

        Raises:
            DarkroomError: training diverged, memory is too small for the smallest batch, or a process was lost.
        """
        kept = self.checkpoint.load()
        if kept:
            self._batch_size, self._accumulate = kept["batch_size"], kept["accumulate"]
        saved = self._from_checkpoint(kept)
        kept = None  # else its tensors stay in memory while the model learns
        while True:
            recipe = self._setup.recipe(batch_size=self._batch_size, accumulate=self._accumulate)
            try:
                progress = fit(model, groups, train, val, recipe, self._callbacks(), saved, self._setup.ranks)
                break
            except RuntimeError as error:
                if self._setup.ranks.size == 1 or not is_lost_peer(error):
                    raise
                raise DarkroomError(
                    f"Another of the {self._setup.ranks.size} processes of this run ended; the log may say why.",
                    "Resume goes on from the last checkpoint.",
                ) from error
            except OutOfMemory as error:
                self._use_smaller_batches()
                # Without a state memory ran out in the midst of changing weights: what was written last is what counts.
                saved = error.state or self._from_checkpoint(self.checkpoint.load())
            gc.collect()  # after the handler: the error's traceback holds the tensors that filled the memory
            if self._setup.device.type == "cuda":
                torch.cuda.empty_cache()
        self.checkpoint.write()
        if progress.best_epoch:
            model.load_state_dict(progress.best_weights)
        return progress

    def _from_checkpoint(self, kept: dict[str, Any] | None) -> dict[str, Any] | None:
        """The engine's state to go on from; metrics of epochs after it, which are trained again, are forgotten."""
        state = kept["state"] if kept else None
        if self._setup.ranks.is_first:
            epoch = int(state["progress"]["epoch"]) if state else 0
            # They may run ahead of the checkpoint, and must not stand twice.
            lines = [json.dumps(row) + "\n" for row in read_jsonl(self._metrics) if row["epoch"] <= epoch]
            write_bytes(self._metrics, "".join(lines).encode())
        return state

    def _callbacks(self) -> Callbacks:
        return Callbacks(
            on_step=self._on_step,
            on_epoch=self._on_epoch,
            should_stop=lambda: self._report.stop_requested,
            should_save=self.checkpoint.is_due,
            on_checkpoint=lambda state: self._take(state, at_once=True),
            on_note=self._log,
        )

    def _on_step(self, epoch: int, step: int, num_steps: int, images_per_s: float) -> None:
        num_epochs = self._setup.config.optim.epochs
        done, total = (epoch - 1) * num_steps + step, num_epochs * num_steps
        left_s = (total - done) * self._batch_size * self._accumulate / max(images_per_s, 1e-9)
        extra = {
            "device": str(self._setup.device),
            "epoch": epoch,
            "num_epochs": num_epochs,
            "step": step,
            "num_steps": num_steps,
            "batch_size": self._batch_size,
            "accumulate": self._accumulate,
        }
        self._report.progress(done, total, unit="steps", rate=images_per_s, eta_s=left_s, extra=extra)
        if self._events is not None:
            self._events.step(epoch, step, num_steps, images_per_s)

    def _on_epoch(self, row: dict[str, Any], state: dict[str, Any]) -> None:
        if self._setup.ranks.is_first:
            append_jsonl(self._metrics, row)
        if self._events is not None:
            self._events.epoch(row)
        self._log(_epoch_line(row, self._setup.config.optim.epochs))
        self._take(state)

    def _take(self, state: dict[str, Any], at_once: bool = False) -> None:
        if self._setup.ranks.is_first:
            content = {"state": state, "batch_size": self._batch_size, "accumulate": self._accumulate}
            self.checkpoint.take(content, at_once)

    def _use_smaller_batches(self) -> None:
        """Half the batch, twice the batches a step: the same images a step in about half the memory.

        Raises:
            DarkroomError: the batch cannot be halved any more, or other processes wait for this one.
        """
        smallest = 1 if self._setup.config.model.tune == "head" else 2  # batch normalisation cannot learn from one
        if self._setup.ranks.size > 1 or self._batch_size // 2 < smallest:
            raise MemoryTooSmall(
                f"Out of memory with batches of {self._batch_size} images.",
                "Lower optim.batch_size or preprocess.image_size, or choose a smaller model.architecture.",
            )
        before = self._batch_size
        self._batch_size, self._accumulate = before // 2, self._accumulate * 2
        message = (
            f"Out of memory with batches of {before} images: going on from the last step with {self._batch_size}, "
            f"{self._accumulate} batches a step, so that a step sees as many images as before."
        )
        self._log(message)
        self._report.update(message=message)


def _epoch_line(row: dict[str, Any], num_epochs: int) -> str:
    return (
        f"Epoch {row['epoch']} of {num_epochs}: "
        f"training loss {row['train_loss']:.4f}, accuracy {row['train_accuracy']:.1%}; "
        f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.1%}; "
        f"{row['images_per_s']:,.0f} images/s."
    )
