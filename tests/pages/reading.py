"""What a test can read on a page drawn by Streamlit's test driver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, UnknownElement


def texts(app: AppTest) -> str:
    """All Markdown on the page and in the sidebar, with the escaping of names undone."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "success", "warning", "error")
    shown = [element.value for kind in kinds for element in app.get(kind)]
    return "\n".join(shown).replace("\\", "").replace("\N{WORD JOINER}", "")


def address(app: AppTest, name: str) -> str | None:
    """A query parameter of the address the page is at."""
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def component(app: AppTest, name: str) -> Any:
    """The data sent to the one component of that name on the page."""
    (found,) = [one for one in _unknown(app.main) if getattr(one.proto, "component_name", "") == name]
    return json.loads(found.proto.json)


def has_component(app: AppTest, name: str) -> bool:
    return any(getattr(one.proto, "component_name", "") == name for one in _unknown(app.main))


def _unknown(block: Block) -> Iterator[UnknownElement]:
    """Elements the driver has no class for, at any depth."""
    for child in block.children.values():
        if isinstance(child, Block):
            yield from _unknown(child)
        elif isinstance(child, UnknownElement):
            yield child
