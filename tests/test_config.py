"""Every knob is declared once, and mistakes are told all at once."""

from __future__ import annotations

import pytest

from core.__main__ import build_parser
from core.config import PRESETS, TrainConfig, build_config, flatten, knobs, parse_config
from core.errors import InputError


def test_defaults_and_every_preset_are_valid() -> None:
    assert flatten(build_config({}))["optim.epochs"] == 30
    for name, (_, values) in PRESETS.items():
        chosen = flatten(build_config({}, name))
        assert {path: chosen[path] for path in values} == values


def test_every_field_has_help_and_every_number_has_bounds() -> None:
    for knob in knobs():
        assert knob.help.endswith("."), knob.path
        assert knob.kind in (bool, str) or (knob.low is not None and knob.high is not None), knob.path


def test_flags_and_knobs_name_the_same_fields() -> None:
    verbs = next(action.choices for action in build_parser()._actions if isinstance(action.choices, dict))
    flags = {flag[2:] for action in verbs["train"]._actions for flag in action.option_strings if "." in flag}
    assert flags | {"data.dataset"} == {knob.path for knob in knobs()}


def test_saved_settings_come_back_the_same() -> None:
    config = build_config({"optim.epochs": "7", "augment.horizontal_flip": "true", "model.tune": "all"})
    assert config.augment.horizontal_flip is True
    assert parse_config(config.model_dump()) == config


def test_all_mistakes_are_told_at_once_with_what_is_allowed() -> None:
    with pytest.raises(InputError) as caught:
        build_config({"optim.epochs": "0", "optim.learning_rate": "fast", "model.architecture": "vgg_16", "no.such": 1})
    text = str(caught.value)
    assert "optim.epochs = '0': allowed is at least 1, at most 1000" in text
    assert "optim.learning_rate = 'fast': allowed is more than 0, at most 10" in text
    assert "model.architecture = 'vgg_16': allowed is one of 87 names, or timm:NAME; close to it: vgg16" in text
    assert "there is no setting no.such" in text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model.architecture": "small_cnn"}, "no pretrained weights"),
        ({"model.architecture": "small_cnn", "model.weights": "random"}, "every layer must learn"),
        ({"augment.shift": 0.1}, "augmentation has no effect"),
        ({"model.tune": "all", "optim.batch_size": 1}, "at least 2"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        build_config(values)


def test_not_a_number_is_no_learning_rate() -> None:
    with pytest.raises(InputError, match="optim.learning_rate"):
        build_config({"optim.learning_rate": "nan"})


def test_a_settings_file_from_elsewhere_is_checked() -> None:
    with pytest.raises(InputError, match="optim.epoch"):
        parse_config({"optim": {"epoch": 3}})
    with pytest.raises(InputError):
        parse_config(None)
    assert isinstance(parse_config({}), TrainConfig)
