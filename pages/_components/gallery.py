"""A grid of thumbnails, each a real button; the browser fetches them from the thumbnail route as they scroll in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, overload

import streamlit as st

from pages._components import keys

PIXEL_ART_BELOW = 64  # pixels; such images are enlarged without smoothing


@dataclass(frozen=True)
class Tile:
    """One image of a gallery.

    Attributes:
        id: what a click and a selection report; in Explore the image's path.
        src: address of the thumbnail.
        alt: class and file, for those who do not see the image.
        caption: the line below the image.
        note: a second line, such as the confidence; may be empty.
        wrong: whether the prediction was wrong; shown by a mark and a word.
        mark: a word on what is special about the image, such as "excluded"; shown with a sign.
        pixel_art: enlarge without smoothing.
        first: begins a new row, so that those after it stand beside it.
    """

    id: str
    src: str
    alt: str
    caption: str
    note: str = ""
    wrong: bool = False
    mark: str = ""
    pixel_art: bool = False
    first: bool = False


_CSS = """
:host { display: block; }
.grid { display: grid; gap: 0.75rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(118px, 28vw), 1fr)); }
button { all: unset; box-sizing: border-box; cursor: pointer; display: block; min-width: 0; width: 100%;
  border-radius: var(--st-base-radius); color: var(--st-text-color); font-family: var(--st-font);
  font-size: 0.8rem; line-height: 1.35; }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
button:hover .square { border-color: var(--st-primary-color); }
.square { aspect-ratio: 1; display: flex; align-items: center; justify-content: center; overflow: hidden;
  background: #8a8f96; border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius); }
img { width: 100%; height: 100%; object-fit: contain; display: block; }
img.pixels { image-rendering: pixelated; }
.square.gone::after { content: "No preview"; color: #fff; background: #4b5158; padding: 0.1rem 0.4rem;
  border-radius: 0.25rem; font-size: 0.75rem; }
.line { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding: 0 0.1rem;
  font-variant-numeric: tabular-nums; }
.line:first-of-type { margin-top: 0.25rem; }
.wrong .square { border: 2px solid var(--st-red-color); }
.mark { color: var(--st-red-text-color); font-weight: 600; }
.aside .square { border-style: dashed; }
.aside img { opacity: 0.55; }
.cell { position: relative; min-width: 0; }
.tick { position: absolute; top: 0; left: 0; padding: 0.45rem; line-height: 0; cursor: pointer; }
.tick input { width: 1.15rem; height: 1.15rem; margin: 0; cursor: pointer; accent-color: var(--st-primary-color); }
.tick input:not(:checked) { opacity: 0.75; }
.tick input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; opacity: 1; }
.cell:hover .tick input { opacity: 1; }
.grid > .first { grid-column-start: 1; }
.chosen .square { border: 3px solid var(--st-primary-color); }
.tools { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; margin-bottom: 0.6rem;
  color: var(--st-text-color); font-family: var(--st-font); font-size: 0.9rem; min-height: 1.8rem; }
.tools button { color: var(--st-link-color); text-decoration: underline; text-underline-offset: 0.2em;
  font-size: 0.9rem; padding: 0.1rem 0.2rem; width: auto; }
.tools button[hidden] { display: none; }
.tools output { font-variant-numeric: tabular-nums; }
"""

_JS = """
function line(text, className) {
  const element = document.createElement("div");
  element.className = className ? "line " + className : "line";
  element.textContent = text;
  element.title = text;
  return element;
}

function tile(item, pick) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = item.id;
  button.classList.toggle("first", item.first);
  button.onclick = () => pick(item.id);
  const square = document.createElement("div");
  square.className = "square";
  const image = document.createElement("img");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = item.alt;
  if (item.pixel_art) image.className = "pixels";
  image.onerror = () => { image.remove(); square.classList.add("gone"); };
  image.src = item.src;
  square.append(image);
  button.append(square);
  if (item.caption) button.append(line(item.caption));
  if (item.wrong) { button.classList.add("wrong"); button.append(line("\\u2715 wrong", "mark")); }
  if (item.mark) { button.classList.add("aside"); button.append(line("\\u2298 " + item.mark, "mark")); }
  if (item.note) button.append(line(item.note));
  return button;
}

function cell(item, tools) {
  const box = document.createElement("div");
  box.className = item.first ? "cell first" : "cell";
  const tick = document.createElement("label");
  tick.className = "tick";
  const input = document.createElement("input");
  input.type = "checkbox";
  input.value = item.id;
  input.setAttribute("aria-label", "Select " + item.alt);
  input.onclick = (event) => tools.toggle(input, event.shiftKey);
  tick.append(input);
  box.append(tile(item, tools.pick), tick);
  return box;
}

function word(text, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.onclick = action;
  return button;
}

// The selection lives here, in the page; the script is told of every change and asks for none.
function selection(root, grid, report) {
  const chosen = new Set();
  let last = null;
  const bar = document.createElement("div");
  bar.className = "tools";
  const output = document.createElement("output");
  const boxes = () => [...grid.querySelectorAll("input")];
  const show = () => {
    for (const box of boxes()) {
      box.checked = chosen.has(box.value);
      box.closest(".cell").classList.toggle("chosen", box.checked);
    }
    const here = boxes().filter((box) => box.checked).length;
    const elsewhere = chosen.size - here;
    output.textContent = chosen.size
      ? chosen.size.toLocaleString("en") + " selected" + (elsewhere ? ", " + elsewhere + " of them not shown here" : "")
      : "None selected: tick images, with Shift for a whole stretch";
    page.hidden = boxes().length === 0 || here === boxes().length;
    none.hidden = chosen.size === 0;
  };
  const changed = () => { show(); report([...chosen]); };
  const page = word("Select page", () => { boxes().forEach((box) => chosen.add(box.value)); changed(); none.focus(); });
  const none = word("Clear selection", () => { chosen.clear(); changed(); page.focus(); });
  bar.append(output, page, none);
  root.insertBefore(bar, grid);
  return {
    show,
    toggle(input, stretch) {
      const all = boxes();
      const from = stretch && last ? all.findIndex((box) => box.value === last) : -1;
      const to = all.indexOf(input);
      const touched = from < 0 ? [input] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
      for (const box of touched) input.checked ? chosen.add(box.value) : chosen.delete(box.value);
      last = input.value;
      changed();
    },
  };
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  const drawn = JSON.stringify(data);
  let grid = parentElement.querySelector(".grid");
  if (!grid) {
    grid = document.createElement("div");
    grid.className = "grid";
    grid.setAttribute("role", "group");
    parentElement.append(grid);
    if (data.selectable) grid.tools = selection(parentElement, grid, (ids) => setStateValue("selected", ids));
  }
  if (grid.dataset.drawn === drawn) return;  // a rerun with the same images keeps focus and scroll
  grid.dataset.drawn = drawn;
  grid.setAttribute("aria-label", data.label);
  const pick = (id) => setTriggerValue("picked", id);
  if (!data.selectable) {
    grid.replaceChildren(...data.tiles.map((item) => tile(item, pick)));
    return;
  }
  grid.tools.pick = pick;
  grid.replaceChildren(...data.tiles.map((item) => cell(item, grid.tools)));
  grid.tools.show();
}
"""

_component = st.components.v2.component("darkroom_gallery", css=_CSS, js=_JS)


@overload
def gallery(tiles: list[Tile], label: str, key: str, selectable: Literal[False] = False) -> str | None: ...


@overload
def gallery(tiles: list[Tile], label: str, key: str, selectable: Literal[True]) -> tuple[str | None, list[str]]: ...


def gallery(
    tiles: list[Tile], label: str, key: str, selectable: bool = False
) -> str | None | tuple[str | None, list[str]]:
    """Draw the tiles; returns the id of the one that was just clicked, else None.

    Args:
        label: what the group of images is, read out by a screen reader.
        key: a new one starts with nothing selected.
        selectable: each tile has a box to tick, a click with Shift ticks a stretch, and a line above counts. Then
            returns (the id just clicked or None, ids selected in the order they were); what was selected stays so
            when other tiles are drawn under the same key, as on the next page.
    """
    data = {"label": label, "tiles": [asdict(tile) for tile in tiles], "selectable": selectable}
    if not selectable:
        return _component(data=data, key=key, on_picked_change=keys.catch_up).picked
    result = _component(
        data=data,
        key=key,
        default={"selected": []},
        on_picked_change=keys.catch_up,
        on_selected_change=keys.catch_up,
    )
    return result.picked, list(result.selected or [])
