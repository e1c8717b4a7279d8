"""What the training curves mean, in words: over-fitting, under-fitting, or well matched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from core.wording import count, percent, significant

MIN_EPOCHS = 3  # two points make a line, not a trend
RISE = 0.05  # validation loss this share above its best has risen
RISE_NATS = 0.01  # ... if by this much as well: 0.0011 after 0.0010 is noise
FALL = 0.05  # a loss that dropped by this share over the last epochs still falls
LOW_ACCURACY = 0.75  # neither split above this: the training images themselves are not learned
GAP = 0.05  # training accuracy this far above validation accuracy: partly learned by heart
AHEAD = 0.01  # validation accuracy this far above training accuracy wants an explanation

_FIGURES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")


def fit_remark(history: Sequence[dict[str, Any]]) -> str:
    """One remark on how well model and data match, with the figures it rests on.

    The first that holds is said: diverged, too few epochs, over-fitting, unsteady, still learning, under-fitting,
    validation ahead of training, a gap, well matched; the limits are this module's constants. They are rules
    of thumb, not tests of significance.

    Args:
        history: rows of `metrics.jsonl`; a row with a missing or non-finite loss or accuracy is passed over.
    """
    rows = [row for row in history if all(_finite(row.get(name)) for name in _FIGURES)]
    if history and not any(_finite(history[-1].get(name)) for name in ("train_loss", "val_loss")):
        return (
            f"Training diverged: at epoch {history[-1].get('epoch', len(history))} the losses are no longer numbers. "
            "Lower the learning rate."
        )
    if len(rows) < MIN_EPOCHS:
        return f"After {count(len(rows), 'epoch')} it is too early to speak of over- or under-fitting."
    best = min(rows, key=lambda row: row["val_loss"])
    for remark in (_risen(rows, best), _still_learning(rows), _by_accuracy(rows[-1])):
        if remark:
            return remark
    last = rows[-1]
    return (
        f"Well matched: training accuracy is {percent(last['train_accuracy'])} and validation accuracy "
        f"{percent(last['val_accuracy'])} at the last epoch, and validation loss, {significant(last['val_loss'])}, "
        f"stays close to its best, {significant(best['val_loss'])} at epoch {best['epoch']}."
    )


def _risen(rows: Sequence[dict[str, Any]], best: dict[str, Any]) -> str:
    last = rows[-1]
    rise = last["val_loss"] - best["val_loss"]
    if rise <= RISE * abs(best["val_loss"]) or rise <= RISE_NATS:
        return ""
    rose = f"validation loss rose from {significant(best['val_loss'])} to {significant(last['val_loss'])}"
    trained = f"from {significant(best['train_loss'])} to {significant(last['train_loss'])}"
    if last["train_loss"] < best["train_loss"]:
        return (
            f"Over-fitting after epoch {best['epoch']}: {rose} while training loss fell {trained}. The best epoch's "
            "weights are kept. More images, more augmentation or more dropout would let it learn longer."
        )
    return (
        f"Unsteady after epoch {best['epoch']}: {rose} and training loss went {trained}. "
        "The best epoch's weights are kept. A lower learning rate would calm it."
    )


def _still_learning(rows: Sequence[dict[str, Any]]) -> str:
    span = max(2, len(rows) // 5)
    before, last = rows[-1 - span], rows[-1]
    falling = all(before[name] - last[name] > max(FALL * abs(before[name]), RISE_NATS) for name in _FIGURES[:2])
    if not falling or last["val_loss"] > min(row["val_loss"] for row in rows):
        return ""
    return (
        f"Under-fitting, as it is still learning: over the last {count(span, 'epoch')} validation loss fell from "
        f"{significant(before['val_loss'])} to {significant(last['val_loss'])} and training loss from "
        f"{significant(before['train_loss'])} to {significant(last['train_loss'])}. Train for more epochs."
    )


def _by_accuracy(last: dict[str, Any]) -> str:
    train, val = last["train_accuracy"], last["val_accuracy"]
    if max(train, val) < LOW_ACCURACY:
        return (
            f"Under-fitting: training accuracy ends at {percent(train)} (validation {percent(val)}) and the losses "
            "have levelled off. A larger model or larger images, tuning every layer, or less augmentation may help; "
            "so does looking for wrong labels."
        )
    if val - train > AHEAD:
        return (
            f"Validation accuracy, {percent(val)}, is above training accuracy, {percent(train)}. No fault: dropout and "
            "augmentation make training images harder and are off in validation, and training accuracy is counted "
            "during the epoch, before its last improvements. No sign of over-fitting."
        )
    if train - val > GAP:
        return (
            f"Some over-fitting: training accuracy, {percent(train)}, is {(train - val) * 100:.1f} points above "
            f"validation accuracy, {percent(val)}, though validation loss has not risen. More images, more "
            "augmentation or more dropout would narrow the gap."
        )
    return ""


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
