"""What may be searched: read from text, checked against the settings' own bounds, laid out as a grid."""

from __future__ import annotations

import pytest

from core.config import PRESETS, build_config, flatten, knobs
from core.errors import InputError
from core.sweeps.space import Choices, Range, contains, grid, grid_size, impossible, parse_space, searchable, usual
from core.sweeps.spec import make_budget, make_spec

QUICK = build_config({}, "quick")


def test_a_space_is_read_from_the_command_line() -> None:
    space = parse_space(
        [
            "optim.learning_rate=1e-4..1e-1:log",
            "model.dropout=0..0.5:3",
            "optim.batch_size=16,32, 64",
            "optim.optimizer=adamw,sgd",
            "augment.horizontal_flip=true,false",
        ]
    )
    assert space == {
        "optim.learning_rate": Range(low=1e-4, high=0.1, log=True),
        "model.dropout": Range(low=0, high=0.5, points=3),
        "optim.batch_size": Choices(values=(16, 32, 64)),
        "optim.optimizer": Choices(values=("adamw", "sgd")),
        "augment.horizontal_flip": Choices(values=(True, False)),
    }
    assert [type(value) for value in space["augment.horizontal_flip"].values] == [bool, bool]


def test_everything_that_cannot_be_read_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_space(["optim.speed=1..2", "optim.optimizer=a..b", "optim.epochs=few", "data.dataset=a,b"])
    for name in ("optim.speed", "optim.optimizer", "optim.epochs", "data.dataset"):
        assert name in str(caught.value)


def test_what_would_change_the_question_cannot_be_searched() -> None:
    groups = {knob.group for knob in searchable()}
    assert groups == {"preprocess", "model", "augment", "optim", "schedule"}
    assert "schedule.milestones" not in {knob.path for knob in searchable()}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "no setting"),
        ({"optim.learning_rate": Range(low=0.0, high=1.0)}, "more than 0"),
        ({"model.dropout": Range(low=0.0, high=1.0)}, "less than 1"),
        ({"optim.learning_rate": Range(low=0.1, high=0.1)}, "below the highest"),
        ({"model.dropout": Range(low=0.0, high=0.5, log=True)}, "begins above 0"),
        ({"optim.batch_size": Range(low=1.5, high=4)}, "whole numbers"),
        ({"optim.batch_size": Choices(values=(16, 5000))}, "at most 4096"),
        ({"optim.optimizer": Choices(values=("adamw", "magic"))}, "magic"),
        ({"optim.optimizer": Choices(values=("adamw",))}, "two different"),
        ({"split.seed": Choices(values=(1, 2))}, "cannot be searched"),
        ({"augment.shift": Range(low=0.1, high=0.2)}, "augmentation has no effect"),  # quick trains the head alone
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_with_the_reason(space: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_spec(QUICK, "print", space)


def test_a_grid_has_both_ends_and_even_steps() -> None:
    space = {
        "optim.learning_rate": Range(low=1e-4, high=1e-1, log=True, points=4),
        "model.dropout": Range(low=0.0, high=0.6, points=3),
        "optim.batch_size": Range(low=1, high=4, points=100),
        "optim.optimizer": Choices(values=("adamw", "sgd")),
    }
    points = grid(space)
    assert points["optim.learning_rate"] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert points["optim.learning_rate"][0] == 1e-4 and points["optim.learning_rate"][-1] == 1e-1
    assert points["model.dropout"] == pytest.approx([0, 0.3, 0.6])
    assert points["optim.batch_size"] == [1, 2, 3, 4]
    assert grid_size(space) == 4 * 3 * 4 * 2


def test_what_is_offered_first_can_be_searched_and_holds_the_present_value() -> None:
    for preset in PRESETS:
        values = flatten(build_config({}, preset))
        for knob in searchable():
            dimension = usual(knob, values[knob.path])
            if isinstance(dimension, Choices) and len(dimension.values) < 2:
                continue  # such as architectures, of which nobody can guess the others
            assert contains(dimension, values[knob.path]) or getattr(dimension, "log", False), knob.path
            space = {knob.path: dimension}
            try:
                make_spec(build_config({}, preset), "print", space)
            except InputError as error:
                assert "none of the combinations" in str(error), (preset, error)


def test_combinations_that_do_not_go_together_are_counted() -> None:
    space = {"model.tune": Choices(values=("head", "all")), "augment.views": Choices(values=(0, 2))}
    failing, tried, reason = impossible(flatten(QUICK), space)
    assert (failing, tried) == (2, 4)  # views without a change to make, and views where layers are trained
    assert "augment.views" in reason
    make_spec(QUICK, "print", space)  # two of four can be trained


def test_the_start_is_known_only_where_it_is_inside() -> None:
    inside = make_spec(QUICK, "print", {"optim.learning_rate": Range(low=1e-4, high=1e-2, log=True)})
    assert inside.start == {"optim.learning_rate": 3e-3}
    assert make_spec(QUICK, "print", {"optim.learning_rate": Range(low=0.01, high=0.1)}).start is None
    assert inside.config({"optim.learning_rate": 0.005}).stop.monitor == "val_accuracy"


def test_a_budget_has_an_end() -> None:
    spec = make_spec(QUICK, "print", {"model.dropout": Range(low=0.0, high=0.5)})
    with pytest.raises(InputError, match="never end"):
        make_budget(spec, trials=0)
    with pytest.raises(InputError, match="at once"):
        make_budget(spec, at_once=0)
    grid_spec = make_spec(QUICK, "print", {"model.dropout": Range(low=0.0, high=0.5, points=3)}, sampler="grid")
    assert make_budget(grid_spec, trials=20).trials == 3 == make_budget(grid_spec, trials=0).trials


def test_a_spec_comes_back_from_its_file_as_it_was() -> None:
    space = parse_space(["optim.batch_size=16,32", "augment.horizontal_flip=true,false", "model.dropout=0..0.5"])
    spec = make_spec(build_config({}, "from-scratch"), "print", space)
    again = type(spec).model_validate_json(spec.model_dump_json())
    assert again == spec and [type(one) for one in again.space["optim.batch_size"].values] == [int, int]
    assert set(spec.base) == {knob.path for knob in knobs()}
