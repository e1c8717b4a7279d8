"""The confusion matrix as a table of real buttons: each cell says what it counts and opens its images."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import streamlit as st

MOST_CLASSES = 30  # beyond this a grid of buttons is neither readable nor quick; a heatmap takes over

_CSS = """
:host { display: block; }
.scroll { overflow: auto; max-height: 85vh; }
table { border-collapse: separate; border-spacing: 2px; color: var(--st-text-color); font-family: var(--st-font);
  font-size: 0.82rem; font-variant-numeric: tabular-nums; }
th { font-weight: 500; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
th.row { text-align: right; padding-right: 0.5rem; position: sticky; left: 0; z-index: 1;
  background: var(--st-background-color); }
th.column { padding: 0 0.25rem 0.25rem; vertical-align: bottom; }
th.column span {
  display: inline-block; max-width: 8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.many th.column span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 8rem; overflow: hidden; }
caption { font-size: 0.78rem; opacity: 0.85; text-align: left; padding-bottom: 0.25rem; }
td { padding: 0; }
button { all: unset; box-sizing: border-box; cursor: pointer; display: block; text-align: center; width: 100%;
  min-width: 2.9rem; padding: 0.45rem 0.3rem; border-radius: 0.2rem; border: 1px solid transparent; }
.many button { min-width: 2.1rem; padding: 0.3rem 0.15rem; font-size: 0.75rem; }
button.right { background: color-mix(in srgb, #0072B2 var(--strength), var(--st-secondary-background-color)); }
button.mixed { background: color-mix(in srgb, #D55E00 var(--strength), var(--st-secondary-background-color)); }
button:hover { border-color: var(--st-text-color); }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
button[aria-pressed="true"] { border: 2px solid var(--st-text-color); font-weight: 700; }
"""

_JS = """
function header(text, className, scope) {
  const cell = document.createElement("th");
  cell.className = className;
  cell.scope = scope;
  cell.title = text;
  const span = document.createElement("span");
  span.textContent = text;
  cell.append(span);
  return cell;
}

function move(buttons, row, column, event) {
  const size = buttons.length;
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  const to = buttons[(row + step[0] + size) % size][(column + step[1] + size) % size];
  buttons[row][column].tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

function build(data, pick) {
  const table = document.createElement("table");
  if (data.classes.length > 8) table.className = "many";
  const caption = document.createElement("caption");
  caption.textContent = "Rows: true class. Columns: predicted class. Arrow keys move, Enter shows the images.";
  const head = document.createElement("tr");
  head.append(document.createElement("td"), ...data.classes.map((name) => header(name, "column", "col")));
  const buttons = [];
  const rows = data.cells.map((cells, i) => {
    const row = document.createElement("tr");
    row.append(header(data.classes[i], "row", "row"));
    buttons.push(cells.map((cell, j) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = i === j ? "right" : "mixed";
      button.onclick = () => pick([i, j]);
      button.onkeydown = (event) => move(buttons, i, j, event);
      button.tabIndex = i === 0 && j === 0 ? 0 : -1;
      const place = document.createElement("td");
      place.append(button);
      row.append(place);
      return button;
    }));
    return row;
  });
  table.append(caption, head, ...rows);
  return { table, buttons };
}

export default function ({ data, parentElement, setTriggerValue }) {
  let scroll = parentElement.querySelector(".scroll");
  if (!scroll) {
    scroll = document.createElement("div");
    scroll.className = "scroll";
    parentElement.append(scroll);
  }
  const shape = JSON.stringify(data.classes);
  if (scroll.dataset.shape !== shape) {
    scroll.dataset.shape = shape;
    const built = build(data, (cell) => setTriggerValue("picked", cell));
    scroll.buttons = built.buttons;
    scroll.replaceChildren(built.table);
  }
  data.cells.forEach((cells, i) => cells.forEach((cell, j) => {
    const button = scroll.buttons[i][j];  // kept from run to run, so that focus stays where it was
    button.textContent = cell.text;
    button.setAttribute("aria-label", cell.label);
    button.title = cell.label;
    button.style.setProperty("--strength", cell.strength + "%");
    button.setAttribute("aria-pressed", String(!!data.picked && data.picked[0] === i && data.picked[1] === j));
  }));
}
"""

_component = st.components.v2.component("darkroom_confusion_grid", css=_CSS, js=_JS)


def confusion_grid(
    counts: np.ndarray,
    shares: np.ndarray,
    classes: list[str],
    as_shares: bool,
    picked: tuple[str, str] | None,
    on_pick: Callable[[str, str], None],
    key: str,
) -> None:
    """Draw the matrix.

    Args:
        counts: images, shape (C, C), rows true, columns predicted.
        shares: `counts` divided by the row's sum, 0..1; gives each cell its colour.
        as_shares: write shares into the cells in place of counts.
        picked: the cell whose images are shown at present, as (true class, predicted class).
        on_pick: called with true and predicted class of a cell that was clicked, before the page is drawn again.
    """
    cells = [
        [
            {
                "text": f"{shares[i, j]:.1%}".replace("%", " %") if as_shares else f"{counts[i, j]:,}",
                "label": f"true {true} predicted {predicted}: {counts[i, j]:,} image{'' if counts[i, j] == 1 else 's'}",
                "strength": _strength(float(shares[i, j])),
            }
            for j, predicted in enumerate(classes)
        ]
        for i, true in enumerate(classes)
    ]
    at = [classes.index(picked[0]), classes.index(picked[1])] if picked else None

    def clicked() -> None:
        cell = st.session_state[key].picked
        if cell:
            on_pick(classes[cell[0]], classes[cell[1]])

    _component(data={"classes": classes, "cells": cells, "picked": at}, key=key, on_picked_change=clicked)


def _strength(share: float) -> int:
    """How much of the cell's colour is mixed in, percent: at most 55, where the figure still reads in both themes.

    By the square root, as the mistakes worth seeing are a few percent of their row.
    """
    return 0 if share == 0 else round(8 + 47 * math.sqrt(share))
