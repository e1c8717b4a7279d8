"""A grid of thumbnails, each a real button; the browser fetches them from the thumbnail route as they scroll in."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import streamlit as st

from pages._components import keys

PIXEL_ART_BELOW = 64  # pixels; such images are enlarged without smoothing


@dataclass(frozen=True)
class Tile:
    """One image of a gallery.

    Attributes:
        id: what a click reports.
        src: address of the thumbnail.
        alt: class and file, for those who do not see the image.
        caption: the line below the image.
        note: a second line, such as the confidence; may be empty.
        wrong: whether the prediction was wrong; shown by a mark and a word.
        pixel_art: enlarge without smoothing.
    """

    id: str
    src: str
    alt: str
    caption: str
    note: str = ""
    wrong: bool = False
    pixel_art: bool = False


_CSS = """
:host { display: block; }
.grid { display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fill, minmax(min(118px, 28vw), 1fr)); }
button { all: unset; box-sizing: border-box; cursor: pointer; display: block; min-width: 0;
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
  if (item.note) button.append(line(item.note));
  return button;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const drawn = JSON.stringify(data);
  let grid = parentElement.querySelector(".grid");
  if (!grid) {
    grid = document.createElement("div");
    grid.className = "grid";
    grid.setAttribute("role", "group");
    parentElement.append(grid);
  }
  if (grid.dataset.drawn === drawn) return;  // a rerun with the same images keeps focus and scroll
  grid.dataset.drawn = drawn;
  grid.setAttribute("aria-label", data.label);
  grid.replaceChildren(...data.tiles.map((item) => tile(item, (id) => setTriggerValue("picked", id))));
}
"""

_component = st.components.v2.component("darkroom_gallery", css=_CSS, js=_JS)


def gallery(tiles: list[Tile], label: str, key: str) -> str | None:
    """Draw the tiles; returns the id of the one that was just clicked, else None.

    Args:
        label: what the group of images is, read out by a screen reader.
    """
    result = _component(
        data={"label": label, "tiles": [asdict(tile) for tile in tiles]}, key=key, on_picked_change=keys.catch_up
    )
    return result.picked
