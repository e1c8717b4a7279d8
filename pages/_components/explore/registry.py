"""Which views Explore has, in the order they are offered. A new one is a module with `draw` and one line here."""

from __future__ import annotations

from collections.abc import Callable

from core.data.datasets import Dataset
from core.workspace import Workspace
from pages._components.explore import edits, health, images, label_issues, map, splits, statistics, unreadable

Draw = Callable[[Workspace, Dataset], None]

# What the view is called on the page and in the address -> what draws it. Only the chosen one is drawn.
VIEWS: dict[str, Draw] = {
    "Images": images.draw,
    "Classes & statistics": statistics.draw,
    "Health": health.draw,
    "Label issues": label_issues.draw,
    "Map": map.draw,
    "Splits": splits.draw,
    "Edits": edits.draw,
    "Unreadable files": unreadable.draw,
}
# Addresses of earlier versions.
FORMERLY = {"Classes": "Classes & statistics", "Sizes": "Classes & statistics"}


def view_of(text: str) -> str | None:
    """Reader for `keys.linked`: the view an address names, None where there is no such view."""
    name = FORMERLY.get(text, text)
    return name if name in VIEWS else None
