"""The form of a training run, drawn from `core.config`: every knob, its bounds and its help stand there alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.config import PRESETS, Knob, TrainConfig, build_config, flatten, group_help, knobs
from pages._components.text import escape
from pages._components.train.idle import effective, why_idle
from pages._components.train.start_from import draw_weights_from

PRESET = "preset"
# What most people change first; the rest stands in groups to open.
MAIN = (
    "model.architecture",
    "model.weights",
    "model.weights_from",
    "model.tune",
    "preprocess.image_size",
    "optim.epochs",
    "optim.batch_size",
    "optim.learning_rate",
)
_FORM = "form"  # (where the fields were drawn last, what stood in them)
_TITLES = {
    "preprocess": "Preprocessing",
    "augment": "Augmentation",
    "optim": "Optimisation",
    "schedule": "Learning-rate schedule",
    "stop": "Early stopping",
    "runtime": "Runtime",
}


def preset_values(preset: str) -> dict[str, Any]:
    """What a preset gives every field of the form."""
    return {knob.path: flatten(build_config({}, preset))[knob.path] for knob in _form_knobs()}


def draw_form(given_splits: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]]:
    """Draw preset and fields; returns the preset and `{"group.field": value}` as they stand at present.

    Choosing a preset sets every field to it. Values survive a change of page, not a reload. Fields without effect under
    the present choice are not drawn but named, with the reason.

    Args:
        given_splits: the splits that the dataset itself says.
    """
    preset = st.selectbox(
        "Preset",
        list(PRESETS),
        key=PRESET,
        on_change=_apply_preset,
        persist_state="session",
        help="A good start for one kind of task. Choosing one sets all the settings below.",
    )
    st.caption(PRESETS[preset][0])
    _start_from(preset, "form")
    with st.container(key="group-main", gap="small"):
        by_path = {knob.path: knob for knob in _form_knobs()}
        for path in MAIN:
            if not why_idle(path, _now()):
                _field(by_path[path])
    for group in dict.fromkeys(knob.group for knob in _form_knobs()):
        with st.expander(_TITLES.get(group, group.capitalize()), key=f"group-{group}"):
            _fields(group, MAIN, given_splits)
    values = _now()
    _keep("form", values)
    return preset, effective(values, _defaults())


def draw_group(group: str) -> dict[str, Any]:
    """Draw the fields of one group alone; what is set here is set in the whole form too."""
    _start_from(st.session_state.get(PRESET, next(iter(PRESETS))), group)
    _fields(group)
    values = _now()
    _keep(group, values)
    return {path: value for path, value in effective(values, _defaults()).items() if path.startswith(f"{group}.")}


def group_values(group: str) -> dict[str, Any]:
    """What stands in the fields of a group, drawn or not: `{"group.field": value}`."""
    _, kept = st.session_state.get(_FORM, ("", {}))
    values = preset_values(st.session_state.get(PRESET, next(iter(PRESETS)))) | kept
    return {path: value for path, value in effective(values, _defaults()).items() if path.startswith(f"{group}.")}


def changes(preset: str, values: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(field, the preset's value, the form's value) of each field that is not as the preset has it."""
    start = preset_values(preset)
    return [(path, start[path], value) for path, value in values.items() if value != start[path]]


def back_to_preset() -> None:
    """Button callback: undo all changes."""
    _apply_preset()


def set_fields(values: Mapping[str, Any]) -> None:
    """From a callback: put these values, `{"group.field": value}`, into the form."""
    where, drawn = st.session_state.get(_FORM, ("form", {}))
    st.session_state[_FORM] = (where, drawn | dict(values))
    for path, value in values.items():
        st.session_state[_key(path)] = value


def fill_from(config: TrainConfig, changed: Mapping[str, Any]) -> None:
    """From a callback: put all of a config into the form, with some values changed."""
    fields = {path: value for path, value in flatten(config).items() if path != "data.dataset"}
    set_fields(fields | dict(changed))


def _start_from(preset: str, where: str) -> None:
    """Give every field a value before it is drawn: Streamlit does not carry one over to another page's widget."""
    drawn, values = st.session_state.get(_FORM, (where, {}))
    if drawn != where:
        for path, value in values.items():
            st.session_state[_key(path)] = value
    for path, value in (preset_values(preset) | values).items():
        st.session_state.setdefault(_key(path), value)


def _keep(where: str, values: dict[str, Any]) -> None:
    _, before = st.session_state.get(_FORM, (where, {}))
    st.session_state[_FORM] = (where, before | values)


def _now() -> dict[str, Any]:
    return {knob.path: st.session_state[_key(knob.path)] for knob in _form_knobs()}


def _fields(group: str, elsewhere: tuple[str, ...] = (), given_splits: frozenset[str] = frozenset()) -> None:
    st.caption(group_help(group))
    idle = []
    for knob in _form_knobs():
        if knob.group != group or knob.path in elsewhere:
            continue
        if reason := why_idle(knob.path, _now(), given_splits):
            idle.append((knob.label, reason))
        else:
            _field(knob)
    if idle:
        st.caption(f"Without effect now. {_listed(idle)}")


def _listed(idle: list[tuple[str, str]]) -> str:
    """`Gamma, Step epochs: only with ...; Views: ...`."""
    by_reason: dict[str, list[str]] = {}
    for label, reason in idle:
        by_reason.setdefault(reason, []).append(label)
    return escape("; ".join(f"{', '.join(labels)}: {reason}" for reason, labels in by_reason.items())) + "."


def _apply_preset() -> None:
    for path, value in preset_values(st.session_state[PRESET]).items():
        st.session_state[_key(path)] = value


def _form_knobs() -> list[Knob]:
    """All knobs but the dataset, which the page's own select box chooses."""
    return [knob for knob in knobs() if knob.path != "data.dataset"]


def _defaults() -> dict[str, Any]:
    return {knob.path: knob.default for knob in _form_knobs()}


def _key(path: str) -> str:
    return f"knob-{path}"


def _field(knob: Knob) -> Any:
    shared: dict[str, Any] = {"key": _key(knob.path), "help": _help(knob), "persist_state": "session"}
    if knob.path == "model.weights_from":
        return draw_weights_from(knob, _key(knob.path), st.session_state[_key("model.weights")])
    if knob.choices:
        return st.selectbox(knob.label, knob.choices, **shared)
    if knob.offered:
        return st.selectbox(knob.label, knob.offered, accept_new_options=True, **shared)
    if knob.kind is bool:
        return st.toggle(knob.label, **shared)
    if knob.kind is str:
        return st.text_input(knob.label, **shared)
    if knob.kind is int:
        low, high = (None if bound is None else int(bound) for bound in (knob.low, knob.high))
        return st.number_input(knob.label, min_value=low, max_value=high, step=1, **shared)
    low, high = (None if bound is None else float(bound) for bound in (knob.low, knob.high))
    return st.number_input(knob.label, min_value=low, max_value=high, step=_step(knob), format="%g", **shared)


def _help(knob: Knob) -> str:
    return knob.help if knob.choices or knob.kind in (bool, str) else f"{knob.help} Allowed: {knob.allowed}."


def _step(knob: Knob) -> float:
    """What one press of + adds: a tenth of the default's own power of ten, a hundredth where the default is zero."""
    if knob.default:
        return 10.0 ** (math.floor(math.log10(abs(knob.default))) - 1)
    return 1.0 if knob.high is not None and knob.high > 1 else 0.01
