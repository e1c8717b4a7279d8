"""The guide for newcomers in `core/data/__init__.py` leads past every module of the room."""

from __future__ import annotations

import re
from pathlib import Path

import core.data


def test_every_module_is_met_on_the_way() -> None:
    assert core.data.__doc__ is not None
    named = set(re.findall(r"`([a-z_]+)`", core.data.__doc__))
    there = {path.stem for path in Path(core.data.__file__).parent.glob("*.py")} - {"__init__"}
    assert there - named == set(), "modules the guide does not mention"
    assert named - there == set(), "modules of the guide that are gone"
