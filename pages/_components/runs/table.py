"""The table of runs: rows to open, tick and mark, sorted by its headings; the script does the sorting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from pages._components import keys


@dataclass(frozen=True)
class Heading:
    """The head of a column.

    Attributes:
        sorted: `ascending` or `descending` where the rows are sorted by it, else empty.
    """

    name: str
    title: str
    is_figure: bool
    sorted: str = ""


@dataclass(frozen=True)
class Line:
    """One run.

    Attributes:
        title: its name, or what it is called where nobody gave it one.
        note: a second line below it, may be empty.
        state: the word; colour and sign as `states.look` gives them.
        why, advice, log: of a run without a result what kind of trouble it met, what happened and what to do, and the
            last lines of its log; else empty. They stand behind a line to open.
        cells: the text of each column.
        href: the address of the run's own page, for a tab of its own.
    """

    id: str
    title: str
    note: str
    state: str
    colour: str
    sign: str
    favourite: bool
    cells: tuple[str, ...]
    href: str
    why: str = ""
    advice: str = ""
    log: str = ""


@dataclass(frozen=True)
class Picked:
    """What was just done in the table, and what is ticked.

    Attributes:
        what: `open`, `star`, `sort`, or empty.
        which: the run's id, or the column's name.
        selected: ids in the order they were ticked.
    """

    what: str
    which: str
    selected: list[str]


_CSS = """
:host { display: block; }
.frame { overflow-x: auto; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius); }
table { border-collapse: collapse; width: 100%; color: var(--st-text-color); font-family: var(--st-font);
  font-size: 0.875rem; line-height: 1.35; }
th, td { padding: 0.4rem 0.6rem; text-align: left; vertical-align: middle;
  border-bottom: 1px solid var(--st-border-color); }
tbody tr:last-child td { border-bottom: 0; }
th { font-weight: 600; vertical-align: bottom; }
td { white-space: nowrap; max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
.figure { text-align: right; font-variant-numeric: tabular-nums; }
tr:hover td { background: var(--st-secondary-background-color); }
tr.chosen td { background: color-mix(in srgb, var(--st-primary-color) 12%, transparent); }
button { all: unset; cursor: pointer; box-sizing: border-box; color: inherit; font: inherit; }
a { color: var(--st-link-color); text-decoration: underline; text-underline-offset: 0.2em; font-weight: 600; }
button:focus-visible, a:focus-visible, input:focus-visible, summary:focus-visible {
  outline: 3px solid var(--st-primary-color); outline-offset: 1px; border-radius: 0.2rem; }
th button:hover { text-decoration: underline; text-underline-offset: 0.2em; }
th button { white-space: normal; min-width: 3.5rem; }
.run { max-width: 19rem; min-width: 11rem; white-space: normal; overflow-wrap: anywhere; }
.note { font-size: 0.8rem; opacity: 0.85; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical;
  overflow: hidden; }
details { font-size: 0.8rem; margin-top: 0.15rem; }
summary { cursor: pointer; width: fit-content; color: var(--st-red-text-color); }
details p { margin: 0.3rem 0; }
pre { margin: 0.3rem 0; padding: 0.4rem; overflow-x: auto; font-size: 0.75rem; line-height: 1.35; max-width: 19rem;
  background: var(--st-secondary-background-color); border-radius: var(--st-base-radius); }
.tick, .star { width: 1px; padding-right: 0; }
.tick input { width: 1.1rem; height: 1.1rem; margin: 0; cursor: pointer; accent-color: var(--st-primary-color);
  vertical-align: middle; }
.star button { font-size: 1.1rem; line-height: 1; padding: 0.15rem; opacity: 0.75; }
.star button[aria-pressed="true"] { color: var(--st-orange-text-color); opacity: 1; }
.state { display: inline-block; padding: 0.1rem 0.5rem; border-radius: 1rem; font-size: 0.8rem; white-space: nowrap; }
.gray { color: var(--st-gray-text-color); background: var(--st-gray-background-color); }
.blue { color: var(--st-blue-text-color); background: var(--st-blue-background-color); }
.orange { color: var(--st-orange-text-color); background: var(--st-orange-background-color); }
.green { color: var(--st-green-text-color); background: var(--st-green-background-color); }
.red { color: var(--st-red-text-color); background: var(--st-red-background-color); }
.violet { color: var(--st-violet-text-color); background: var(--st-violet-background-color); }
.sign { font-family: "Material Symbols Rounded"; font-size: 1rem; line-height: 1; vertical-align: -0.18em;
  margin-right: 0.25rem; font-feature-settings: "liga"; }
"""

_JS = """
function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, label, action) {
  const made = element("button", "", text);
  made.type = "button";
  if (label) made.setAttribute("aria-label", label);
  made.onclick = action;
  return made;
}

function box(label, action) {
  const made = element("input");
  made.type = "checkbox";
  made.setAttribute("aria-label", label);
  made.onclick = action;
  return made;
}

function row(item, headings, tools) {
  const made = element("tr");
  made.dataset.id = item.id;
  made.dataset.drawn = JSON.stringify([item, headings]);
  const tick = element("td", "tick");
  tick.append(box("Select " + item.title, (event) => tools.toggle(item.id, event.target.checked, event.shiftKey)));
  const star = element("td", "star");
  const mark = button(item.favourite ? "\\u2605" : "\\u2606", "Favourite " + item.title,
    () => tools.act("star", item.id));
  mark.setAttribute("aria-pressed", String(item.favourite));
  star.append(mark);
  const run = element("td", "run");
  const link = element("a", "", item.title);
  link.href = item.href;
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;  // a tab of its own
    event.preventDefault();
    tools.act("open", item.id);
  };
  run.append(link);
  if (item.note) { const note = element("div", "note", item.note); note.title = item.note; run.append(note); }
  if (item.why) {
    const details = element("details");
    details.append(element("summary", "", item.why), element("p", "", item.advice));
    if (item.log) details.append(element("pre", "", item.log));
    run.append(details);
  }
  const state = element("td");
  const badge = element("span", "state " + item.colour);
  const sign = element("span", "sign", item.sign);
  sign.setAttribute("aria-hidden", "true");
  badge.append(sign, item.state);
  state.append(badge);
  made.append(tick, star, run, state);
  item.cells.forEach((text, place) => {
    const cell = element("td", headings[place].is_figure ? "figure" : "", text);
    cell.title = text;
    made.append(cell);
  });
  return made;
}

function head(data, tools) {
  const made = element("tr");
  const all = element("th", "tick");
  tools.all = box("Select all rows shown", (event) => tools.toggleAll(event.target.checked));
  all.append(tools.all);
  made.append(all, element("th", "star"));
  for (const item of data.headings) {
    const cell = element("th", item.is_figure ? "figure" : "");
    cell.scope = "col";
    if (item.sorted) cell.setAttribute("aria-sort", item.sorted);
    const arrow = item.sorted === "ascending" ? " \\u2191" : item.sorted === "descending" ? " \\u2193" : "";
    cell.append(button(item.title + arrow, "", () => tools.act("sort", item.name)));
    made.append(cell);
  }
  return made;
}

// The ticks live here, in the page; the script is told of every change and asks for none.
function begin(parentElement) {
  const frame = element("div", "frame");
  const table = element("table");
  const headPart = element("thead");
  const body = element("tbody");
  table.append(headPart, body);
  frame.append(table);
  parentElement.append(frame);
  const chosen = new Set();
  let last = null;
  const rows = () => [...body.children];
  const tools = {
    frame, table, headPart, body, chosen,
    show() {
      for (const one of rows()) {
        const on = chosen.has(one.dataset.id);
        one.classList.toggle("chosen", on);
        one.querySelector(".tick input").checked = on;
      }
      const here = rows().filter((one) => chosen.has(one.dataset.id)).length;
      tools.all.checked = here > 0 && here === rows().length;
      tools.all.indeterminate = here > 0 && here < rows().length;
    },
    changed() { tools.show(); tools.report([...chosen]); },
    toggle(id, on, stretch) {
      const ids = rows().map((one) => one.dataset.id);
      const from = stretch && last ? ids.indexOf(last) : -1;
      const to = ids.indexOf(id);
      const touched = from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
      for (const one of touched) on ? chosen.add(one) : chosen.delete(one);
      last = id;
      tools.changed();
    },
    toggleAll(on) {
      for (const one of rows()) on ? chosen.add(one.dataset.id) : chosen.delete(one.dataset.id);
      tools.changed();
    },
  };
  return tools;
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  const tools = (parentElement.tools ??= begin(parentElement));
  tools.act = (what, which) => setTriggerValue("did", { what, which });
  tools.report = (ids) => setStateValue("selected", ids);
  tools.table.setAttribute("aria-label", data.label);
  const headings = JSON.stringify(data.headings);
  if (tools.table.dataset.headings !== headings) {
    tools.table.dataset.headings = headings;
    tools.headPart.replaceChildren(head(data, tools));
  }
  // Rows that say the same stay as they are, and with them the focus of who works in them by keyboard.
  const before = new Map([...tools.body.children].map((one) => [one.dataset.id, one]));
  const columns = data.headings.slice(2);
  const wanted = data.lines.map((item) => {
    const old = before.get(item.id);
    return old && old.dataset.drawn === JSON.stringify([item, columns]) ? old : row(item, columns, tools);
  });
  const same = wanted.length === tools.body.children.length
    && wanted.every((one, place) => one === tools.body.children[place]);
  if (!same) tools.body.replaceChildren(...wanted);
  tools.show();
}
"""

_component = st.components.v2.component("darkroom_runs", css=_CSS, js=_JS)


def runs_table(headings: Sequence[Heading], lines: Sequence[Line], label: str, key: str) -> Picked:
    """Draw it; returns what was just done in it and what is ticked.

    Args:
        headings: of the name, the state and then each column.
        label: what the table is, read out by a screen reader.
        key: a new one starts with nothing ticked; under the same one ticks stay when other rows are drawn.
    """
    data: dict[str, Any] = {
        "label": label,
        "headings": [asdict(heading) for heading in headings],
        "lines": [asdict(line) for line in lines],
    }
    result = _component(
        data=data,
        key=key,
        default={"selected": []},
        on_did_change=keys.catch_up,
        on_selected_change=keys.catch_up,
    )
    did = result.did or {}
    return Picked(str(did.get("what", "")), str(did.get("which", "")), list(result.selected or []))
