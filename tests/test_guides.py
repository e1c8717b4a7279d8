"""The guides for newcomers in the rooms' `__init__.py` lead past every module of the room."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOMS = ("batching", "augmentation", "backbone", "loop", "trials")
GUIDED = ["core.data", "core.evaluation", "core.handover", "core.runs", "core.serving", "core.sweeps", "core.training"]
GUIDED += [f"core.training.{room}" for room in ROOMS]
GUIDED += ["core.exports", "core.exports.shipped", "core.inference"]


@pytest.mark.parametrize("room", GUIDED)
def test_every_module_is_met_on_the_way(room: str) -> None:
    package = importlib.import_module(room)
    assert package.__doc__ is not None and package.__file__ is not None
    named = set(re.findall(r"`([a-z_0-9]+)`", package.__doc__))
    folder = Path(package.__file__).parent
    there = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert there - named == set(), "modules the guide does not mention"
    assert named - there == set(), "modules of the guide that are gone"
