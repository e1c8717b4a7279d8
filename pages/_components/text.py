"""Names of files, classes and datasets made safe to stand in Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")


def escape(text: object) -> str:
    """`text` as Markdown that reads exactly as written: no emphasis, links, HTML, maths, icons or line breaks."""
    flat = " ".join(str(text).split("\n"))
    return _MARKS.sub(r"\\\1", flat)
