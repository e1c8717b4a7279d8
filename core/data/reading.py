"""How a user wants images to be read: layout, label pattern, columns; light, as the command line needs it to start."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from core.errors import InputError

Layout = Literal["class folders", "innermost folders", "split folders", "flat names", "table"]
LAYOUTS: dict[Layout, str] = {
    "class folders": "The first folder on the way to an image is its class.",
    "innermost folders": "The folder an image lies in directly is its class, however deep that is.",
    "split folders": "Folders train, val and test, with one folder a class (or names like cat.1.jpg) in each.",
    "flat names": "The file's name says the class, as a pattern reads it.",
    "table": "A CSV, TSV or Parquet file lists paths and labels.",
}


def _knob(help: str, default: Any = "") -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Reading:
    """How to read a source; what is left empty is recognised. Each field's help is in its metadata."""

    layout: Layout | None = _knob("what says an image's class", None)
    pattern: str = _knob("regular expression from a path to its label: the group named label, else the first one")
    table: str = _knob("name of the table, where a folder holds several")
    images: str = _knob("folder the table's paths are relative to, as seen from the table; recognised if not given")
    path_column: str = _knob("column of the images' paths")
    label_column: str = _knob("column of their labels")
    split_column: str = _knob("column that says train, val or test; (none) to ignore one")
    group_column: str = _knob(
        "column of what must stay on one side of a split, such as a patient; (none) to ignore one"
    )

    @classmethod
    def from_dict(cls, raw: dict[str, Any] | None) -> Reading:
        """The reading that `to_dict` gave; fields of other versions of Darkroom are passed over.

        Raises:
            InputError: there is no such layout.
        """
        known = {one.name for one in fields(cls)}
        reading = cls(**{key: value for key, value in (raw or {}).items() if key in known})
        if reading.layout is not None and reading.layout not in get_args(Layout):
            known_layouts = ", ".join(get_args(Layout))
            raise InputError(f"There is no layout {reading.layout!r}.", f"Choose one of: {known_layouts}.")
        return reading

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
