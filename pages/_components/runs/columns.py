"""The columns of the list of runs: what each is called and how its values read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from core.config import knobs
from core.wording import UNKNOWN, bytes_size, count, duration, percent, percent_interval, significant

FIRST = ("dataset", "architecture", "test_accuracy", "created", "seconds", "bytes", "tags")  # shown unless asked
NEWEST = "created"  # what the list is sorted by unless asked


@dataclass(frozen=True)
class Column:
    """One column that can be chosen.

    Attributes:
        show: the text of a cell, from the value and the whole row.
        is_figure: right-aligned, and sorted largest first at the first click.
    """

    name: str
    title: str
    show: Callable[[Any, dict[str, Any]], str]
    is_figure: bool = True


def _text(value: Any, _: dict[str, Any]) -> str:
    return str(value) if value else UNKNOWN


def _accuracy(value: Any, row: dict[str, Any]) -> str:
    return percent_interval(value, row["test_accuracy_low"], row["test_accuracy_high"])


def _count(value: Any, _: dict[str, Any]) -> str:
    return UNKNOWN if pd.isna(value) else count(int(value))


def _when(value: Any, _: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(value)) if value else UNKNOWN


def _plain(words: Callable[[Any], str]) -> Callable[[Any, dict[str, Any]], str]:
    return lambda value, _: words(value)


def _knob(value: Any, _: dict[str, Any]) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return significant(value) if isinstance(value, float) else str(value)


@cache
def columns() -> dict[str, Column]:
    """Every column by name: figures first, then what people said, then every setting."""
    own = [
        Column("dataset", "Dataset", lambda value, row: row.get("dataset_name") or _text(value, row), False),
        Column("architecture", "Network", _text, False),
        Column("test_accuracy", "Test accuracy, 95 % interval", _accuracy),
        Column("val_accuracy", "Validation accuracy", _plain(percent)),
        Column("test_loss", "Test loss (nats)", _plain(significant)),
        Column("macro_f1", "Macro F1", _plain(significant)),
        Column("num_test", "Test images", _count),
        Column("best_val_loss", "Best validation loss (nats)", _plain(significant)),
        Column("best_val_accuracy", "Best validation accuracy", _plain(percent)),
        Column("epochs_done", "Epochs", _count),
        Column("seconds", "Time", _plain(duration)),
        Column("bytes", "On disk", _plain(bytes_size)),
        Column("created", "Started", _when),
        Column("tags", "Tags", lambda tags, _: ", ".join(tags) or UNKNOWN, False),
        Column("note", "Note", _text, False),
        Column("message", "Message", _text, False),
        Column("dataset_fingerprint", "Dataset version", _text, False),
        Column("num_edits", "Corrections", _count),
        Column("sweep", "Sweep", _text, False),
    ]
    taken = {"data.dataset", "model.architecture"}
    settings = [
        Column(knob.path, knob.path, _knob, knob.kind in (int, float)) for knob in knobs() if knob.path not in taken
    ]
    return {column.name: column for column in [*own, *settings]}
