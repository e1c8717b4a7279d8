"""The README says what the code does, and its commands are the ones that are run."""

from __future__ import annotations

import re

from core.config import knobs
from core.docs import README, render
from core.workspace import REPOSITORY


def test_the_readme_is_as_the_code_would_write_it() -> None:
    text = README.read_text(encoding="utf-8")
    assert render(text) == text, "run: python -m core.docs"


def test_every_knob_and_every_module_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert all(f"`{knob.path}`" in text and knob.help in text for knob in knobs())
    modules = [path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "core").rglob("*.py")]
    assert all(f"`{module}`" in text for module in modules)


def test_every_dependency_has_its_reason() -> None:
    table = README.read_text(encoding="utf-8").split("## Why each dependency is here")[1]
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (REPOSITORY / name).read_text().splitlines()
        packages = [
            re.split(r"[=<>~\[]", line)[0].strip() for line in lines if line and not line.startswith(("-r", "#"))
        ]
        assert packages and all(package in table for package in packages)
