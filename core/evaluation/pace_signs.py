"""What a run's epochs tell of its pace: a learning rate too high or too low, a training that ended too early.

Each sign is asked for by an interval at 99 %, and is silent where the figures do not bear it. The constants say what is
worth mentioning once it is certain; they and the rules were chosen on some forty really trained runs of the kinds that
`benchmarks/diagnosis.py` trains, and are no law.
"""

from __future__ import annotations

from core.evaluation.remarks import Remark, lead
from core.evaluation.training_course import Training, is_number
from core.wording import count, percent, significant

GAIN = 0.01  # in accuracy, over some epochs: worth mentioning
LEARNED = 0.9  # training accuracy from which no learning rate is called too low
UNBENT = 0.4  # share of the first progress a step that is still made later on: the curve has hardly bent
FEWEST_FALLS = 4  # at full learning rate, to see a bend
DROPS = 2  # falls of training accuracy beyond chance: one in thirty epochs may be one
SEARCH = "Let Train find a learning rate (or: python -m core find-lr)"


def learning_rate_high(training: Training) -> Remark | None:
    """Training accuracy that falls again and again, or ends below what it had reached."""
    rows = training.rows
    if training.is_mixed or training.config.model.tune == "gradual":  # each stage that wakes shakes the others
        return None
    shares = [training.train(row) for row in rows]
    drops = sum(lead(before, after)[0] > 0 for before, after in zip(shares, shares[1:], strict=False))
    best = max(range(len(rows)), key=lambda place: shares[place].value)
    has_fallen = lead(shares[best], shares[-1])[0] > GAIN
    if drops < DROPS and not has_fallen:
        return None
    rate = max(row.get("learning_rate") or 0.0 for row in rows)
    what = [f"fell beyond chance {count(drops, 'time')} in {count(len(rows), 'epoch')}"] if drops else []
    if has_fallen:
        what.append(f"ended at {shares[-1].shown()} after {shares[best].shown()} at epoch {rows[best]['epoch']}")
    return Remark(
        "learning_rate_high",
        "Learning rate too high",
        f"Training accuracy {' and '.join(what)}, at learning rates up to {significant(rate)}.",
        f"Lower optim.learning_rate to a third or a tenth. {SEARCH}.",
        {"drops": drops, "epochs": len(rows), "best": shares[best].value, "last": shares[-1].value, "rate": rate},
    )


def learning_rate_low(training: Training) -> Remark | None:
    """Steady progress that has hardly slackened, with much left to learn.

    Looked at are the epochs at no less than half of the highest learning rate: what an annealed rate does is another
    matter. The fall of training loss by learning rate, that is, by step, is compared between their two halves.
    """
    rows = training.rows
    rates = [row.get("learning_rate") for row in rows]
    if training.is_mixed or not all(is_number(rate) for rate in rates) or training.train(rows[-1]).ends()[1] > LEARNED:
        return None
    full = [place for place in range(1, len(rows)) if rates[place] >= max(rates) / 2]
    if len(full) < FEWEST_FALLS:
        return None
    middle = len(full) // 2
    falls = [rows[place - 1]["train_loss"] - rows[place]["train_loss"] for place in full]
    early = sum(falls[:middle]) / sum(rates[place] for place in full[:middle])
    late = sum(falls[middle:]) / sum(rates[place] for place in full[middle:])
    gain = lead(training.train(rows[full[-1]]), training.train(rows[full[middle] - 1]))
    if early <= 0 or late < UNBENT * early or gain[0] <= 0:
        return None
    first, last = rows[full[0] - 1], rows[full[-1]]
    return Remark(
        "learning_rate_low",
        "Learning rate too low",
        f"Training loss fell steadily from {significant(first['train_loss'])} to {significant(last['train_loss'])} in "
        f"{count(len(full), 'epoch')} at learning rates up to {significant(max(rates))}, in the later half still "
        f"{percent(late / early)} as fast as in the first, and training accuracy ends at "
        f"{training.train(rows[-1]).shown()}.",
        f"Raise optim.learning_rate three- to tenfold, or train for more epochs. {SEARCH}.",
        {"first": first["train_loss"], "last": last["train_loss"], "pace": late / early, "rate": max(rates)},
    )


def still_learning(training: Training) -> Remark | None:
    """Validation accuracy that rose beyond chance until the last epoch."""
    rows = training.rows
    if len(rows) < 2 or training.kept is not rows[-1]:
        return None
    span = training.latest()
    before, last = training.val(rows[-1 - span]), training.val(rows[-1])
    if lead(last, before)[0] <= GAIN:
        return None
    return Remark(
        "still_learning",
        "Stopped while still learning",
        f"Validation accuracy rose from {before.shown()} to {last.shown()} over the last {count(span, 'epoch')} of "
        f"{len(rows)}.",
        "Train for more epochs (optim.epochs).",
        {"before": before.value, "last": last.value, "span": span, "epochs": len(rows)},
    )
