"""Program: rewrite the parts of the README that are derived from the code. `python -m core.docs`"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from core.config import PRESETS, TrainConfig, group_help, knobs
from core.files import write_bytes
from core.workspace import REPOSITORY

README = REPOSITORY / "README.md"


def render(text: str) -> str:
    """The README with everything between `<!-- NAME begins -->` and `<!-- NAME ends -->` made anew.

    Raises:
        KeyError: a marker names no section.
    """
    sections = {"knobs": _knobs, "presets": _presets, "files": _files, "commands": _commands}

    def fill(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} begins -->\n{sections[match[1]]()}\n<!-- {match[1]} ends -->"

    return re.sub(r"<!-- (\w+) begins -->\n.*?<!-- \1 ends -->", fill, text, flags=re.DOTALL)


def _knobs() -> str:
    lines = ["| setting | default | allowed | what moving it does |", "|---|---|---|---|"]
    for group in TrainConfig.model_fields:
        lines.append(f"| **{group}** | | | {group_help(group)} |")
        for knob in (knob for knob in knobs() if knob.group == group):
            lines.append(f"| `{knob.path}` | {knob.default} | {knob.allowed} | {knob.help} |")
    return "\n".join(lines)


def _presets() -> str:
    lines = ["| preset | for | sets |", "|---|---|---|"]
    for name, (purpose, values) in PRESETS.items():
        lines.append(
            f"| `{name}` | {purpose} | {', '.join(f'{k} = {v}' for k, v in values.items()) or 'the defaults'} |"
        )
    return "\n".join(lines)


def _files() -> str:
    lines = ["| file | what it is |", "|---|---|"]
    for path in [
        REPOSITORY / "app.py",
        *sorted((REPOSITORY / "pages").rglob("*.py")),
        *sorted((REPOSITORY / "core").rglob("*.py")),
    ]:
        lines.append(f"| `{path.relative_to(REPOSITORY).as_posix()}` | {_first_sentence(path)} |")
    return "\n".join(lines)


def _commands() -> str:
    from core.__main__ import build_parser

    verbs = next(action for action in build_parser()._actions if isinstance(action.choices, dict))
    lines = ["| command | what it does |", "|---|---|"]
    for name, parser in (verbs.choices or {}).items():
        lines.append(f"| `python -m core {name}` | {parser.description} |")
    return "\n".join(lines)


def _first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    write_bytes(README, render(README.read_text(encoding="utf-8")).encode())
