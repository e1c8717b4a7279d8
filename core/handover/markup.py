"""HTML for a report: every figure carries its exact value and says where in the document it stands."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from core.wording import UNKNOWN, percent, significant

Show = Callable[[Any], str]


class Section(NamedTuple):
    """A part of the report; `body` is HTML."""

    anchor: str
    title: str
    body: str


class Told:
    """A document as sections read it: what they show of it keeps its exact value and its place."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def at(self, place: str) -> Any:
        """The value at a place such as `metrics/accuracy/value`; None where there is none."""
        found: Any = self.document
        for step in place.split("/"):
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def figure(self, place: str, show: Show = percent) -> str:
        """The figure at that place, as `show` words it; a dash where there is none."""
        value = self.at(place)
        if value is None:
            return UNKNOWN
        exact = int(value) if isinstance(value, bool) else value
        return f'<data value="{exact!r}" data-of="{text(place)}">{text(show(value))}</data>'

    def interval(self, value: str, low: str, high: str, show: Show = percent) -> str:
        """A figure with the ends of its interval: `97.3 % (95.1 %-98.8 %)`."""
        if self.at(low) is None or self.at(high) is None:
            return self.figure(value, show)
        ends = f"{self.figure(low, show)} to {self.figure(high, show)}"
        return f'{self.figure(value, show)} <span class="ends">({ends})</span>'


def text(value: object) -> str:
    """Anything as text that shows literally."""
    return html.escape(str(value))


def paragraph(body: str, kind: str = "") -> str:
    """A paragraph of HTML."""
    return f"<p{_class(kind)}>{body}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table of HTML cells; the first `words` columns are text, the others figures and set to the right.

    Args:
        header: plain text.
    """
    head = "".join(f"<th{_class('' if at < words else 'n')}>{text(name)}</th>" for at, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(f"<td{_class('' if at < words else 'n')}>{cell}</td>" for at, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Names (plain text) beside what they are (HTML)."""
    body = "".join(f"<tr><th>{text(name)}</th><td>{value}</td></tr>" for name, value in rows)
    return f'<div class="wide"><table class="pairs"><tbody>{body}</tbody></table></div>'


def code(line: str) -> str:
    """A command to copy."""
    return f"<pre><code>{text(line)}</code></pre>"


def plainly(value: Any) -> str:
    """A setting as people read it, as plain text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value)
    if isinstance(value, list | tuple):
        return ", ".join(plainly(one) for one in value)
    return str(value)


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
