"""Names of files, classes and datasets made safe to stand in Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])")
# Streamlit turns these into links, icons and arrows even where Markdown's own marks are escaped, so each is parted
# by a word joiner, which has no width.
_LIVELY = re.compile(r"(?<=:)(?=material/)|(?<=http)(?=s?:)|(?<=www)(?=\.)|(?=@)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE)


def escape(text: object) -> str:
    """`text` as Markdown that reads exactly as written: no emphasis, links, HTML, maths, icons or line breaks."""
    flat = " ".join(str(text).split("\n"))
    return _MARKS.sub(r"\\\1", _LIVELY.sub("\N{WORD JOINER}", flat))
