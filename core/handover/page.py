"""The report as one HTML file that needs nothing else: no network, no server, no other file."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from core.errors import DarkroomError
from core.handover import doubts, results, sources
from core.handover.document import FORMAT, Document
from core.handover.failures import MOST_SHOWN, pictures
from core.handover.markup import Section, Told, text
from core.handover.plots import WIDTH_ON_PAPER, drawn, plots, script
from core.runs.store import Run

_SECTION = re.compile(r'<section id="(\w+)">(.*?)</section>', re.DOTALL)
_PICTURES = re.compile(
    r'<figure role="img".*?</figure>|<img src="data:[^>]*>|<span class="gone">[^<]*</span>', re.DOTALL
)
DATA = "darkroom-report"  # the id of the element that holds the document itself
_BEGINS, _ENDS = f'<script type="application/json" id="{DATA}">', "</script>"
SECTIONS: tuple[Callable[[Told, dict[str, str]], Section | None], ...] = (
    results.summary,
    doubts.diagnosis,
    results.numbers,
    results.confusion,
    results.classes,
    doubts.confidence,
    doubts.parts,
    doubts.spoiled,
    doubts.elsewhere,
    doubts.maps,
    sources.exports,
    sources.speed,
    sources.images,
    sources.split,
    sources.training,
    sources.again,
    sources.files,
)
# Whoever opens the file is not asked to trust it: it may show pictures and scripts it brings along and fetch nothing.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; font-src data:"
)
_STYLE = """
:root { color-scheme: light; --ink: #1b2430; --faint: #5b6673; --line: #d6dbe1; --accent: #00578a; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink); background: #fff;
  margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 62rem; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; } h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem;
  padding-top: .5rem; border-top: 1px solid var(--line); } h3 { font-size: 1.05rem; margin: 1.5rem 0 .25rem; }
.lead { font-size: 1.15rem; } .note, .about, .path, small, .ends { color: var(--faint); font-size: .875rem; }
a { color: var(--accent); } nav ol { columns: 2 16rem; padding-left: 1.25rem; margin: .5rem 0; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; }
.tile span { display: block; color: var(--faint); font-size: .875rem; } .tile b .ends { display: inline; }
.wide { overflow-x: auto; margin: .75rem 0; } table { border-collapse: collapse; font-size: .9rem; min-width: 50%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal; }
th { font-weight: 600; } td { overflow-wrap: break-word; max-width: 28rem; } .n { text-align: right; }
table.pairs th { white-space: nowrap; } td .ends { white-space: nowrap; }
.cell { display: block; padding: .1rem .4rem; border-radius: .2rem; } .settings { columns: 2 20rem; }
.settings table { min-width: 100%; } .settings tr { break-inside: avoid; }
pre { background: #f3f5f7; padding: .75rem; border-radius: .5rem; overflow-x: auto; white-space: pre-wrap; }
code { font: .85em/1.4 ui-monospace, "SF Mono", Consolas, monospace; overflow-wrap: anywhere; }
figure { margin: 1rem 0; overflow-x: auto; }
.failures { display: grid; gap: 1rem .75rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.failure { font-size: .875rem; min-width: 0; } .square { aspect-ratio: 1; background: #8a8f96; display: flex;
  align-items: center; justify-content: center; border-radius: .35rem; overflow: hidden; }
.square img { width: 100%; height: 100%; object-fit: contain; }
.square img[src^="data:image/png"] { image-rendering: pixelated; }
.gone { color: #fff; background: #4b5158; padding: .1rem .4rem; border-radius: .25rem; }
@page { size: A4; margin: 15mm; }
@media print { body { font-size: 10.5pt; max-width: none; padding: 0; } h2, h3 { break-after: avoid; }
  figure, tr, .failure, .tile, pre { break-inside: avoid; } thead { display: table-header-group; }
  .wide, figure { overflow: visible; } nav, .modebar { display: none; } a { color: inherit; text-decoration: none; }
  .failures { grid-template-columns: repeat(5, 1fr); } td { max-width: 20rem; } table { font-size: 8.5pt; } }
"""
_FOR_PAPER = """
const charts = () => document.querySelectorAll(".js-plotly-plot");
addEventListener("beforeprint", () => charts().forEach((one) => Plotly.relayout(one, {width: %d, autosize: false})));
addEventListener("afterprint", () => charts().forEach((one) => Plotly.relayout(one, {width: null, autosize: true})));
"""


def page(run: Run, document: Document) -> str:
    """The whole file.

    Args:
        document: of `core.handover.document`, of this run.
    """
    figures = {name: drawn(name, *one) for name, one in plots(run, document).items()}
    shown = [row["path"] for row in document["failures"]["rows"][:MOST_SHOWN]]
    sections = sections_of(document, figures, pictures(run, run.manifest(), shown))
    name = document["run"]["name"] or document["run"]["id"]
    links = "".join(f'<li><a href="#{one.anchor}">{text(one.title)}</a></li>' for one in sections)
    body = "".join(map(as_html, sections))
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(document["made"]))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{text(name)}: evaluation</title><style>{_STYLE}</style>"
        f"<script>{script()}</script></head><body>"
        f'<header><h1>{text(name)}</h1><p class="about">Evaluation of run {text(document["run"]["id"])}, made with '
        f"Darkroom on {made}. All of it is in this one file.</p></header>"
        f"<nav><ol>{links}</ol></nav><main>{body}</main><script>{_FOR_PAPER % WIDTH_ON_PAPER}</script>"
        f"{_BEGINS}{_inside_a_script(document)}{_ENDS}</body></html>\n"
    )


def sections_of(document: Document, figures: dict[str, str], images: dict[str, str]) -> list[Section]:
    """What stands in the file, in order; parts of which nothing is known are left out.

    Args:
        figures: HTML by the names of `plots`.
        images: `data:` addresses of mistakes by their path.
    """
    told = Told(document)
    sections = [section for section in (make(told, figures) for make in SECTIONS) if section is not None]
    place = [section.anchor for section in sections].index("classes") + 1
    return [*sections[:place], results.failures(told, figures, images), *sections[place:]]


def as_html(section: Section) -> str:
    """A section with its heading."""
    return f'<section id="{section.anchor}"><h2>{text(section.title)}</h2>{section.body}</section>'


def words_in(content: str) -> dict[str, str]:
    """The HTML of each section of a report without its figures and pictures, by the section's anchor."""
    body = content[content.find("<main>") : content.rfind("</main>")]
    bare = _PICTURES.sub("", body)
    return {match[1]: match[2] for match in _SECTION.finditer(bare)}


def document_in(content: str) -> Document:
    """The document that an HTML report holds, or that a JSON file is.

    Raises:
        DarkroomError: it is neither.
    """
    start = content.find(_BEGINS)
    if start >= 0:
        start += len(_BEGINS)
        content = content[start : content.find(_ENDS, start)]
    try:
        found = json.loads(content)
    except ValueError as error:
        raise DarkroomError("This is no report of Darkroom's.", "Give the HTML or JSON file that it made.") from error
    if not isinstance(found, dict) or "format" not in found:
        raise DarkroomError("This is JSON, and no report of Darkroom's.", "Give the HTML or JSON file that it made.")
    if found["format"] != FORMAT:
        raise DarkroomError(
            f"This report is a {found['format']!r}, and this version of Darkroom makes {FORMAT!r}.",
            "Check it with the version that made it.",
        )
    return found


def _inside_a_script(document: Document) -> str:
    """JSON in which no name can end the element it stands in."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
