"""Which settings have no effect under the present choice of others, and why; the form leaves those out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Values = Mapping[str, Any]
_AUGMENT_ALWAYS = "augment.views"


def _unless(path: str, *wanted: str) -> Callable[[Values], str]:
    """The reason for a field that counts only where `path` is one of `wanted`; empty where it is."""
    name = path.partition(".")[2].replace("_", " ").capitalize()
    return lambda values: "" if values[path] in wanted else f"only with {name} = {' or '.join(wanted)}"


def _unprunable(values: Values) -> str:
    """Why nothing can be taken out of the network; empty where it can."""
    starts = _unless("model.weights", "pretrained", "run", "file")(values)
    return starts or _unless("model.tune", "all")(values)


_REASONS: dict[str, Callable[[Values], str]] = {
    "split.group_pattern": _unless("split.group_by", "pattern"),
    "model.weights_from": _unless("model.weights", "run", "file"),
    "model.init": _unless("model.weights", "random"),
    "model.tune_stages": _unless("model.tune", "last"),
    "model.unfreeze_every": _unless("model.tune", "gradual"),
    "model.stage_rate": _unless("model.tune", "last", "all", "gradual"),
    "model.prune": _unprunable,
    "model.prune_by": lambda values: (
        _unprunable(values) or ("" if values["model.prune"] else "only with Prune above 0")
    ),
    "augment.views": _unless("model.tune", "head"),
    "augment.policy_strength": _unless("augment.policy", "randaugment"),
    "optim.momentum": _unless("optim.optimizer", "sgd", "rmsprop", "muon"),
    "optim.focal_gamma": _unless("optim.loss", "focal"),
    "schedule.gamma": _unless("schedule.kind", "step", "multistep", "plateau"),
    "schedule.step_epochs": _unless("schedule.kind", "step"),
    "schedule.milestones": _unless("schedule.kind", "multistep"),
    "schedule.plateau_patience": _unless("schedule.kind", "plateau"),
    "runtime.processes": _unless("model.tune", "last", "all", "gradual"),
}
# Left as they are these would contradict the choice that makes them idle, with no field to correct them in.
_CONTRADICTING = frozenset(
    {"split.group_pattern", "model.weights_from", "model.prune", "augment.views", "runtime.processes"}
)


def why_idle(path: str, values: Values, given_splits: frozenset[str] = frozenset()) -> str:
    """Why the setting has no effect, to be read after its name; empty where it has one.

    Args:
        values: `{"group.field": value}` of the whole form.
        given_splits: those the dataset's own folders or table say.
    """
    if path in _REASONS and (reason := _REASONS[path](values)):
        return reason
    if path.startswith("augment.") and path != _AUGMENT_ALWAYS and _augments_nothing(values):
        return "only with Views of at least 1, as Tune = head computes features once"
    split, _, share = path.removeprefix("split.").partition("_")
    if share == "fraction" and split in given_splits:
        return f"the dataset says itself which images are {split}"
    return ""


def effective(values: Values, defaults: Values) -> dict[str, Any]:
    """The form's values with those at rest which contradict the choice that makes them idle."""
    return {path: defaults[path] if _must_rest(path, values) else value for path, value in values.items()}


def _must_rest(path: str, values: Values) -> bool:
    if path in _CONTRADICTING:
        return bool(why_idle(path, values))
    return path.startswith("augment.") and path != _AUGMENT_ALWAYS and _augments_nothing(values)


def _augments_nothing(values: Values) -> bool:
    return values["model.tune"] == "head" and not values["augment.views"]
