"""What a run's epochs tell of how network and images match: over-fitting and under-fitting.

As in `pace_signs`, each sign is asked for by an interval or a test at 99 % and is silent where that is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.config import TrainConfig, flatten, switched_on
from core.evaluation.pace_signs import SEARCH
from core.evaluation.remarks import Z99, Remark, lead
from core.evaluation.training_course import Training
from core.wording import count, percent, significant

GAP = 0.03  # training images known this much better than new ones: worth mentioning
RISE, RISE_NATS = 0.05, 0.01  # the validation loss's share and amount above its best, likewise
POOR = 0.8  # training accuracy below which the training images themselves are not learned
NOTHING = 0.03  # above the commonest class's share by no more than this share of it: nothing is learned
FEWEST_EPOCHS = 3  # before anything is called under-fitting
CHANCE = 0.005
_DRAWN = 1000
_RESTRAINTS = {"model.dropout": 0.3, "optim.weight_decay": 0.1}  # from where on they are named


def over_fitting(training: Training) -> Remark | None:
    """Training images known better than new ones, or validation loss that rises while training loss falls."""
    kept, rows = training.kept, training.rows
    known, new = training.train(kept), training.held_out
    # What it knows of its training images is a fact; what it knows of new ones is seen on some of them.
    is_apart = known.value - new.ends()[1] > GAP and (lead(known, new)[0] > 0 or _knows_by_heart(training, kept))
    rise = _rise(rows)
    if not (is_apart or rise):
        return None
    what = []
    if is_apart:
        mean = float(training.losses.mean())
        losses = f"; the mean loss is {significant(kept['train_loss'])} and {significant(mean)}"
        what.append(
            f"it answers {percent(known.value)} of its {count(known.total, 'training image')} rightly, of those it has "
            f"not learned from {new.shown()}{losses if kept['train_loss'] < mean else ''}"
        )
    if rise:
        what.append(
            f"from epoch {rise['epoch']} on validation loss rose steadily from {significant(rise['best'])} to "
            f"{significant(rise['last'])} while training loss fell"
        )
    finding = "; ".join(what)
    kept_words = " The best epoch's weights are kept." if rise else ""
    return Remark(
        "over_fitting",
        "Over-fitting",
        f"{finding[0].upper()}{finding[1:]}.{kept_words}",
        "More images help most; then augmentation, more dropout or weight decay, or a smaller network.",
        {"train": known.value, "held_out": new.value, "train_loss": kept["train_loss"]} | rise,
    )


def _knows_by_heart(training: Training, kept: dict[str, Any]) -> bool:
    """Whether the mean loss of the training images is lower than that of as many new ones is ever likely to be.

    Asked of means of new images drawn with replacement. Says nothing where the loss is not plain cross-entropy; what
    augmentation, dropout and label smoothing add to the training loss makes the answer no likelier to be yes.
    """
    optim = training.config.optim
    if optim.loss != "cross_entropy" or optim.class_weights != "none" or not training.num_train:
        return False
    size = min(training.num_train, _DRAWN)  # means of fewer spread more
    drawn = np.random.default_rng(0).choice(training.losses, (_DRAWN, size)).mean(axis=1)
    return bool((drawn <= kept["train_loss"]).mean() < CHANCE)


def under_fitting(training: Training) -> Remark | None:
    """A network that does not even learn its training images: it is held back, too small, or learns nothing."""
    rows, last = training.rows, training.rows[-1]
    if len(rows) < FEWEST_EPOCHS:
        return None
    train, val = training.train(last), training.val(last)
    if training.held_out.total and training.held_out.ends()[1] <= training.commonest.value * (1 + NOTHING):
        return Remark(
            "under_fitting",
            "It has learned nothing",
            f"{training.held_out.shown()} of the images it has not learned from are answered rightly; always "
            f"answering the commonest class would get {percent(training.commonest.value)}.",
            f"{SEARCH}; look whether the labels fit the images, and at Train's first batch.",
            {"held_out": training.held_out.value, "commonest": training.commonest.value},
        )
    is_rising = lead(train, training.train(rows[-1 - training.latest()]))[0] > 0
    if training.is_mixed or train.ends()[1] >= POOR or is_rising:
        return None
    restraints, figures = _restraints(training.config), {"train": train.value, "val": val.value}
    words = f"Training accuracy ends at {train.shown()}"
    if restraints and lead(val, train)[0] > GAP:
        return Remark(
            "under_fitting",
            "Under-fitting: held back too much",
            f"{words}, below validation accuracy, {val.shown()}, where nothing holds it back.",
            f"Restrain it less. What does so now: {', '.join(restraints)}.",
            figures,
        )
    if lead(train, val)[0] > 0:
        return None
    more = "Let more layers learn (model.tune). " if training.config.model.tune in ("head", "last") else ""
    return Remark(
        "under_fitting",
        "Under-fitting",
        f"{words}: the training images themselves are not learned (validation {val.shown()}).",
        f"{more}Try a larger network (model.architecture) or larger images (preprocess.image_size), or more epochs; "
        "where the losses jump about, a lower learning rate. "
        "Where people could not tell the classes apart in these images either, that is the end of it.",
        figures,
    )


def _rise(rows: Sequence[dict[str, Any]]) -> dict[str, float | int]:
    """The epoch of the lowest validation loss, and how it rose since; empty where it did not, beyond doubt.

    Kendall's rank correlation with the epoch (M. G. Kendall, "A new measure of rank correlation", 1938), in its
    normal approximation, without the lowest one itself, which was chosen for being low.
    """
    best = min(range(len(rows)), key=lambda place: rows[place]["val_loss"])
    after = [row["val_loss"] for row in rows[best + 1 :]]
    pairs = [(later > early) - (later < early) for at, early in enumerate(after) for later in after[at + 1 :]]
    num, lowest, last = len(after), rows[best], rows[-1]
    if not pairs or sum(pairs) < Z99 * math.sqrt(num * (num - 1) * (2 * num + 5) / 18):
        return {}
    rise = last["val_loss"] - lowest["val_loss"]
    if rise < max(RISE * abs(lowest["val_loss"]), RISE_NATS) or last["train_loss"] >= lowest["train_loss"]:
        return {}
    return {"epoch": lowest["epoch"], "best": lowest["val_loss"], "last": last["val_loss"]}


def _restraints(config: TrainConfig) -> list[str]:
    """The settings that hold learning back."""
    values = flatten(config)
    strong = [path for path, limit in _RESTRAINTS.items() if values[path] >= limit]
    return [f"{path} = {values[path]:g}" for path in strong] + [
        f"{path} = {values[path]}" for path in switched_on(config.augment)
    ]
