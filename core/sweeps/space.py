"""Which settings a sweep may try, between which values, and which of them to begin with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict

from core.config import Knob, build_config, knobs
from core.errors import InputError
from core.wording import significant

# What is left out would change the question instead of the answer: which images, how they are divided, when to stop.
GROUPS = ("preprocess", "model", "augment", "optim", "schedule")
GRID_POINTS = 4
MOST_TRIED = 200  # combinations looked at to find out whether any can be trained
FORM = "FIELD=LOW..HIGH, FIELD=LOW..HIGH:log, FIELD=LOW..HIGH:POINTS or FIELD=A,B,C"


class Range(BaseModel):
    """Numbers from `low` to `high`, both included.

    Attributes:
        log: drawn by their logarithm, so that 0.001 to 0.01 gets as many as 0.01 to 0.1.
        points: how many of them a grid tries.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    low: float
    high: float
    log: bool = False
    points: int = GRID_POINTS


class Choices(BaseModel):
    """Values of which one is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    values: tuple[bool | int | float | str, ...]


Dimension: TypeAlias = Range | Choices
Space: TypeAlias = Mapping[str, Dimension]

# Ranges that practice has shown to be worth a look, for settings whose bounds allow far more.
_USUAL: dict[str, Dimension] = {
    "preprocess.image_size": Choices(values=(64, 96, 128, 160, 224)),
    "model.architecture": Choices(values=("small_cnn", "fast_cnn")),
    "model.head_units": Choices(values=(0, 64, 256)),
    "model.dropout": Range(low=0.0, high=0.6),
    "model.stage_rate": Range(low=0.1, high=1.0, log=True),
    "model.prune": Range(low=0.0, high=0.8),
    "augment.crop_scale": Range(low=0.5, high=1.0),
    "augment.shift": Range(low=0.0, high=0.2),
    "augment.zoom": Range(low=0.0, high=0.3),
    "augment.rotate_degrees": Range(low=0.0, high=30.0),
    "augment.brightness": Range(low=0.0, high=0.4),
    "augment.contrast": Range(low=0.0, high=0.4),
    "augment.saturation": Range(low=0.0, high=0.4),
    "augment.hue": Range(low=0.0, high=0.1),
    "augment.mixup": Range(low=0.0, high=0.4),
    "augment.cutmix": Range(low=0.0, high=1.0),
    "augment.views": Range(low=0, high=4),
    "optim.batch_size": Choices(values=(16, 32, 64, 128)),
    "optim.accumulate": Choices(values=(1, 2, 4)),
    "optim.weight_decay": Range(low=1e-5, high=0.1, log=True),
    "optim.momentum": Range(low=0.5, high=0.98),
    "optim.focal_gamma": Range(low=0.5, high=5.0),
    "optim.label_smoothing": Range(low=0.0, high=0.2),
    "optim.clip_norm": Range(low=0.1, high=10.0, log=True),
    "optim.ema_decay": Range(low=0.9, high=0.999),
    "schedule.warmup_fraction": Range(low=0.0, high=0.3),
    "schedule.gamma": Range(low=0.05, high=0.7, log=True),
}


def searchable() -> list[Knob]:
    """The settings a sweep may try, in order of declaration."""
    return [knob for knob in knobs() if knob.group in GROUPS and (knob.kind is not str or knob.choices or knob.offered)]


def usual(knob: Knob, value: Any) -> Dimension:
    """A dimension to begin with, which is a guess to be changed.

    Args:
        value: what the setting is now; a range is laid around it where nothing else is known.
    """
    if knob.path in _USUAL:
        return _with(_USUAL[knob.path], value)
    if knob.kind is bool:
        return Choices(values=(False, True))
    if knob.choices or knob.offered:
        return Choices(values=knob.choices or (value,))
    factor = 10.0 if knob.kind is float else 2.0
    low, high = (float(f"{end:.6g}") for end in (value / factor, value * factor))
    if not value:
        low, high = knob.low or 0.0, min(1.0, knob.high if knob.high is not None else 1.0)
    low = max(low, knob.low if knob.low is not None else low)
    high = min(high, knob.high if knob.high is not None else high)
    if knob.kind is int:
        return Range(low=max(1, round(low)) if value else round(low), high=round(high))
    return Range(low=low, high=high, log=low > 0)


def _with(dimension: Dimension, value: Any) -> Dimension:
    """The same, the present value included, so that what one has is among what is tried."""
    if isinstance(dimension, Choices):
        known = dimension.values
        return dimension if value in known else Choices(values=tuple(sorted({*known, value}, key=_order)))
    if dimension.log and value <= 0:
        return dimension
    return dimension.model_copy(update={"low": min(dimension.low, value), "high": max(dimension.high, value)})


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def parse_space(texts: list[str]) -> dict[str, Dimension]:
    """A space from the command line, each text as `FORM` says.

    Raises:
        InputError: every text that cannot be read, at once.
    """
    by_path = {knob.path: knob for knob in searchable()}
    space: dict[str, Dimension] = {}
    problems = []
    for text in texts:
        path, _, values = text.partition("=")
        try:
            if path not in by_path:
                raise ValueError("no setting that can be searched")
            space[path] = _parse(by_path[path], values)
        except ValueError as error:
            problems.append(f"{text!r} ({error})")
    if problems:
        raise InputError(f"Cannot be searched so: {'; '.join(problems)}.", f"Write {FORM}.")
    return space


def parse_choices(knob: Knob, text: str) -> Choices:
    """The values of a list with commas between; raises `InputError` where one is not of the setting's kind."""
    try:
        return _list(knob, text)
    except ValueError as error:
        raise InputError(f"{knob.label}: {text!r} is not a list of such values ({error}).") from error


def _parse(knob: Knob, text: str) -> Dimension:
    if ".." not in text:
        return _list(knob, text)
    bounds, *marks = text.split(":")
    low, _, high = bounds.partition("..")
    points = [mark for mark in marks if mark != "log"]
    if knob.kind not in (int, float) or knob.choices:
        raise ValueError("not a number: list its values")
    return Range(low=float(low), high=float(high), log="log" in marks, points=int(points[0]) if points else GRID_POINTS)


def _list(knob: Knob, text: str) -> Choices:
    return Choices(values=tuple(_value(knob, part.strip()) for part in text.split(",") if part.strip()))


def _value(knob: Knob, text: str) -> Any:
    if knob.kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError("allowed are true and false")
        return text.lower() == "true"
    return knob.kind(text)


def problems_of(space: Space) -> list[str]:
    """What is wrong with a space, each as a sentence without its full stop; empty where nothing is."""
    by_path = {knob.path: knob for knob in searchable()}
    found = [] if space else ["no setting to search was chosen"]
    for path, dimension in space.items():
        if path not in by_path:
            found.append(f"{path} cannot be searched")
        elif isinstance(dimension, Choices):
            found += _choice_problems(by_path[path], dimension)
        else:
            found += _range_problems(by_path[path], dimension)
    return found


def _choice_problems(knob: Knob, choices: Choices) -> list[str]:
    if len(set(choices.values)) < 2 or len(set(choices.values)) < len(choices.values):
        return [f"{knob.path} needs at least two different values"]
    if knob.kind in (int, float):
        return [
            f"{knob.path} = {value}: allowed is {knob.allowed}" for value in choices.values if not _fits(knob, value)
        ]
    if knob.choices:
        return [
            f"{knob.path} = {value}: allowed is {knob.allowed}" for value in choices.values if value not in knob.choices
        ]
    return []


def _range_problems(knob: Knob, limits: Range) -> list[str]:
    if knob.kind not in (int, float):
        return [f"{knob.path} is not a number: choose among its values"]
    found = [
        f"{knob.path} = {significant(value)}: allowed is {knob.allowed}"
        for value in (limits.low, limits.high)
        if not _fits(knob, value)
    ]
    if limits.low >= limits.high:
        found.append(f"{knob.path}: the lowest value must be below the highest")
    if limits.log and limits.low <= 0:
        found.append(f"{knob.path}: a logarithmic range begins above 0")
    if knob.kind is int and (limits.low % 1 or limits.high % 1):
        found.append(f"{knob.path}: whole numbers only")
    if not 2 <= limits.points <= 1000:
        found.append(f"{knob.path}: a grid tries 2 to 1,000 of its values")
    return found


def _fits(knob: Knob, value: Any) -> bool:
    if knob.kind is int and value % 1:
        return False
    above = knob.low is None or value > knob.low or (value == knob.low and not knob.low_open)
    return above and (knob.high is None or value < knob.high or (value == knob.high and not knob.high_open))


def is_whole(path: str) -> bool:
    """Whether a setting's values are whole numbers."""
    return next(knob for knob in knobs() if knob.path == path).kind is int


def contains(dimension: Dimension, value: Any) -> bool:
    """Whether a value is among those that may be tried."""
    if isinstance(dimension, Choices):
        return value in dimension.values
    return dimension.low <= value <= dimension.high


def grid(space: Space) -> dict[str, list[Any]]:
    """The values of each setting that a grid tries."""
    return {path: _points(path, dimension) for path, dimension in space.items()}


def grid_size(space: Space) -> int:
    """How many trials a whole grid takes."""
    return math.prod(len(values) for values in grid(space).values())


def _points(path: str, dimension: Dimension) -> list[Any]:
    if isinstance(dimension, Choices):
        return list(dimension.values)
    low, high = dimension.low, dimension.high
    if dimension.log:
        low, high = math.log(low), math.log(high)
    last = dimension.points - 1
    places = [low + (high - low) * place / last for place in range(dimension.points)]
    values = [float(f"{math.exp(one) if dimension.log else one:.12g}") for one in places]
    return sorted({round(value) for value in values}) if is_whole(path) else values


def impossible(base: Mapping[str, Any], space: Space) -> tuple[int, int, str]:
    """How many of some combinations cannot be trained: (how many of them, of how many, the first one's reason).

    Every combination of choices is looked at, up to `MOST_TRIED`, with numbers at the middle of their range.
    """
    reasons = [reason for values in _some(space) if (reason := why_impossible(base, values))]
    return len(reasons), len(list(_some(space))), reasons[0] if reasons else ""


def why_impossible(base: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Why these settings do not go together; empty where they do."""
    try:
        build_config({**base, **values})
    except InputError as error:
        return error.message.removeprefix("Settings to correct: ")
    return ""


def _some(space: Space) -> Iterator[dict[str, Any]]:
    sides = []
    for path, dimension in space.items():
        values = _points(path, dimension)
        sides.append(values if isinstance(dimension, Choices) else [values[len(values) // 2]])
    return (dict(zip(space, values, strict=True)) for values in itertools.islice(itertools.product(*sides), MOST_TRIED))
