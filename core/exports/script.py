"""Puts an export's predict.py together from the very source that this dashboard runs, so that the two cannot differ."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from core.workspace import REPOSITORY

_HEADER = '''"""Classify images with the exported model beside this file: python predict.py --help

Needs {packages}, and nothing of Darkroom. Written by Darkroom from its own source.
"""
'''
# Module, and which of its definitions; None for all. What a later part uses stands in an earlier one.
_PARTS: tuple[tuple[str, Collection[str] | None], ...] = (
    ("core.errors", ("DarkroomError", "ImageReadError")),
    ("core.preprocess", None),
    ("core.inference.classifier", ("Forward", "softmax")),
    ("core.inference.familiar", ("energy",)),
    ("core.inference.speed", None),
)
_PROGRAM = "core.exports.shipped.answering"


def predict_script(runtime: str, packages: Collection[str]) -> str:
    """The whole program as text.

    Args:
        runtime: the module of `core.exports.shipped` that opens the model.
        packages: what it needs besides numpy and pillow, for its first lines.
    """
    parts = [*_PARTS, (f"core.exports.shipped.{runtime}", None), (_PROGRAM, None)]
    imports: dict[str, set[str]] = defaultdict(set)
    bodies, defined = [], set()
    for module, wanted in parts:
        tree, lines = _read(module)
        taken = [node for node in tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)]
        if wanted is not None:
            taken = [node for node in taken if getattr(node, "name", None) in wanted]
        names = {name for node in taken for name in _names(node)}
        assert not names & defined, f"{module} defines {names & defined} once more"
        defined |= names
        bodies.append(_body(lines, tree, taken))
        _note_imports(tree, {name for node in taken for name in _used(node)}, imports)
    header = _HEADER.format(packages=", ".join(["numpy", "pillow", *packages]))
    head = f"{header}\nfrom __future__ import annotations\n\n{_written(imports)}"
    return f"{head}\n\n\n" + "\n\n\n".join(body.strip("\n") for body in bodies) + "\n"


def _read(module: str) -> tuple[ast.Module, list[str]]:
    text = (REPOSITORY / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    return ast.parse(text), text.splitlines()


def _body(lines: list[str], tree: ast.Module, taken: list[ast.stmt]) -> str:
    """The lines of what is taken, with the comments before it; those of the rest of the module are left out."""
    kept, begin = [], tree.body[0].end_lineno or 0
    for node in tree.body[1:]:
        end = node.end_lineno or 0
        if node in taken:
            kept += lines[begin:end]
        begin = end
    return "\n".join(kept)


def _names(node: ast.stmt) -> list[str]:
    """What a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _used(node: ast.stmt) -> list[str]:
    return [name.id for name in ast.walk(node) if isinstance(name, ast.Name)]


def _note_imports(tree: ast.Module, used: Collection[str], imports: dict[str, set[str]]) -> None:
    """Add the imports of what is used, but for those from Darkroom: an earlier part defines these."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name.split(".")[0]) in used:
                    imports[""].add(ast.unparse(ast.Import([alias])))
        elif (
            isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] not in ("core", "__future__")
        ):
            imports[node.module] |= {ast.unparse(alias) for alias in node.names if (alias.asname or alias.name) in used}


def _written(imports: dict[str, set[str]]) -> str:
    froms = [
        f"from {module} import {', '.join(sorted(names))}" for module, names in imports.items() if module and names
    ]
    return "\n".join([*sorted(imports.get("", ())), *sorted(froms)])
