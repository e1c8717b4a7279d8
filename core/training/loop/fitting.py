"""The phases of an epoch, and the state that lets a run go on from any step of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from core.errors import InputError
from core.schedule import factor
from core.training.batching.batches import Batches
from core.training.distributed import Ranks
from core.training.loop.averaging import Average
from core.training.loop.boundaries import all_random_states, set_random_state, share
from core.training.loop.faults import OutOfMemory, is_out_of_memory
from core.training.loop.losses import build_loss
from core.training.loop.numerics import choose_numerics, compile_model
from core.training.loop.optimizers import Optimizers, group_parameters, learns
from core.training.loop.progress import Progress, make_row
from core.training.loop.recipe import Callbacks, Recipe
from core.training.loop.stepping import NoMemory, Step, Stepper
from core.training.loop.totals import Tally, Totals
from core.training.loop.validation import evaluate
from core.training.models.groups import ParameterGroup

STATE_VERSION = 2  # of a checkpoint; 1 knew only ends of epochs


@dataclass
class Position:
    """Where in which epoch, as of the last finished step.

    Attributes:
        epoch: from 1.
        image: how many of the epoch's images have been learned from, over all processes.
        step: how many steps that took.
    """

    epoch: int
    image: int
    step: int
    totals: Totals


class Fitting:
    """One call of `fit`; its phases are called in turn for every epoch."""

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[ParameterGroup] | None,
        train: Batches,
        val: Batches,
        recipe: Recipe,
        callbacks: Callbacks,
        ranks: Ranks,
    ) -> None:
        optim, device = recipe.optim, recipe.device
        self._model, self._groups, self._train, self._val = model, groups, train, val
        self._recipe, self._callbacks, self._ranks = recipe, callbacks, ranks
        self._steps_per_epoch = -(-len(train.sizes(0, optim.batch_size)) // optim.accumulate)
        self._numerics = choose_numerics(recipe.runtime, device, self._steps_per_epoch * optim.epochs, model)
        self._numerics.place(model)
        share(model.state_dict().values(), ranks)  # the average must begin with the same weights everywhere
        self._average = Average(model, optim.ema_decay) if optim.ema_decay else None
        self._optimizers = Optimizers(model, groups, optim)
        loss = build_loss(optim, recipe.class_counts, device)
        self._stepper = Stepper(model, self._optimizers, loss, self._average, optim, self._numerics, ranks)
        self._tally = Tally(optim, recipe.num_classes, device, ranks)
        self._position = Position(1, 0, 0, Totals())
        self._awake: list[bool] | None = None
        self._began_at = (1, 0)
        self.progress = Progress()
        callbacks.on_note(f"Computing in {self._numerics.words()}.")

    def wake(self) -> None:
        """Let the groups learn whose time has come, and keep the others as they are, statistics included."""
        self._model.train()
        groups = self._groups or []
        awake = [learns(group, self._position.epoch - 1) for group in groups]
        for group, is_awake in zip(groups, awake, strict=True):
            for module in group.modules:
                module.train(is_awake)
        if awake == self._awake:
            return
        for group, is_awake in zip(groups, awake, strict=True):
            for parameter in group_parameters(group):
                parameter.requires_grad_(is_awake)
        if self._awake is not None:
            self._callbacks.on_note(f"One more part of the network learns from epoch {self._position.epoch} on.")
        self._awake = awake
        wrapped = self._ranks.wrap(self._numerics.network(self._model))
        must_compile = self._recipe.runtime.compile == "on"
        self._stepper.forward = compile_model(wrapped, must_compile) if self._numerics.compiled else wrapped

    def learn(self) -> bool:
        """The rest of the epoch's steps; False when asked to stop before their end.

        Raises:
            Diverged: see `Tally`.
            OutOfMemory: with the state as of the last finished step.
        """
        optim, position = self._recipe.optim, self._position
        sizes = self._train.sizes(position.image, optim.batch_size)
        batches = self._train.epoch(position.epoch, position.image, optim.batch_size)
        try:
            for start in range(0, len(sizes), optim.accumulate):
                in_step = sizes[start : start + optim.accumulate]
                self._optimizers.set_factor(self._factor(position.step))
                step = self._stepper.step(batches, in_step, self._should_stop)
                if step is None:
                    return False
                self._note(step, sum(in_step))
        except NoMemory as lack:
            is_whole = lack.is_whole
        else:
            self._tally.read(position.totals)
            return True
        finally:
            getattr(batches, "close", lambda: None)()  # a loader's threads or processes end with it
        raise self._out_of_memory(is_whole)

    def validate(self) -> bool:
        """Look at the validation images and end the epoch; False when asked to stop before."""
        model = self._average.model if self._average else self._model
        share(model.buffers(), self._ranks)
        try:
            validated = evaluate(
                model,
                self._val,
                self._recipe.num_classes,
                self._numerics,
                self._callbacks.should_stop,
                self._ranks,
                self._val_batch_size(),
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if validated is not None:
                self._end_epoch(validated, model)
            return validated is not None
        raise self._out_of_memory(is_whole=True)

    def save_where_stopped(self) -> None:
        """Hand out the state in the middle of an epoch, where this call has come further at all."""
        if (self._position.epoch, self._position.image) != self._began_at:
            self._callbacks.on_checkpoint(self.state())

    def state(self) -> dict[str, Any]:
        """All that follows depends on: plain containers and live tensors, which `torch.load(weights_only=True)` takes.

        With several processes each must ask for it after the same step.
        """
        self._tally.read(self._position.totals)
        return {
            "version": STATE_VERSION,
            "progress": self.progress.state_dict(),
            "best_weights": self.progress.best_weights,
            "position": asdict(self._position),
            "model": self._model.state_dict(),
            "optimizers": self._optimizers.state_dict(),
            "scaler": self._stepper.scaler.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "random": all_random_states(self._recipe.device, self._ranks),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            InputError: it is of an earlier version of Darkroom.
        """
        if saved.get("version") != STATE_VERSION:
            raise InputError(
                "The checkpoint was made by another version of Darkroom, which kept other things.",
                "Start a new run with the same settings.",
            )
        self._model.load_state_dict(saved["model"])
        self._optimizers.load_state_dict(saved["optimizers"])
        self._stepper.scaler.load_state_dict(saved["scaler"])
        if self._average and saved["average"]:
            self._average.load_state_dict(saved["average"])
        self.progress = Progress(best_weights=saved["best_weights"], **saved["progress"])
        self._position = Position(**saved["position"] | {"totals": Totals(**saved["position"]["totals"])})
        self._began_at = (self._position.epoch, self._position.image)
        states = saved["random"]
        set_random_state(states[self._ranks.rank % len(states)], self._recipe.device)

    def _note(self, step: Step, num_images: int) -> None:
        """Move on by one finished step, and tell the surroundings."""
        position = self._position
        position.image, position.step = position.image + num_images, position.step + 1
        totals = position.totals
        totals.num_images += num_images
        totals.seconds += step.seconds
        totals.waiting_s += step.waiting_s
        self._tally.add(totals, position.epoch, position.step, num_images, step.figures)
        num_steps = max(position.step, self._steps_per_epoch)
        self._callbacks.on_step(position.epoch, position.step, num_steps, totals.images_per_s())
        if self._ranks.agreed(self._callbacks.should_save()):
            self._callbacks.on_checkpoint(self.state())

    def _end_epoch(self, validated: Totals, model: nn.Module) -> None:
        position, recipe = self._position, self._recipe
        row = make_row(position.epoch, position.totals, validated, recipe.optim.learning_rate * self._factor(0))
        lowered = self.progress.num_lowered
        self.progress.note(row, model, recipe.stop, recipe.schedule)
        if self.progress.num_lowered > lowered:
            self._callbacks.on_note(f"No improvement: the learning rate is multiplied by {recipe.schedule.gamma:g}.")
        self._position = Position(position.epoch + 1, 0, 0, Totals())
        self._callbacks.on_epoch(row, self.state())

    def _factor(self, step: int) -> float:
        """On the learning rate, in that step (from 0) of the current epoch."""
        schedule, epochs = self._recipe.schedule, self._recipe.optim.epochs
        step += (self._position.epoch - 1) * self._steps_per_epoch
        return factor(schedule, step, epochs, self._steps_per_epoch) * schedule.gamma**self.progress.num_lowered

    def _should_stop(self) -> bool:
        return self._ranks.agreed(self._callbacks.should_stop())

    def _val_batch_size(self) -> int:
        """As given, made smaller where training was given smaller batches too."""
        return max(1, self._val.batch_size * self._recipe.optim.batch_size // self._train.batch_size)

    def _out_of_memory(self, is_whole: bool) -> OutOfMemory:
        """With several processes there is no state: the others wait where this one will not come."""
        if self._recipe.device.type == "cuda":
            torch.cuda.empty_cache()
        return OutOfMemory(self.state() if is_whole and self._ranks.size == 1 else None)
