"""Classified images as cards: each beside its ranked classes by one model or two, or the reason why there are none."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from pages._components import keys
from pages._components.classify.cards import Shown

_CSS = """
:host { display: block; }
.answers { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr));
  font-family: var(--st-font); color: var(--st-text-color); }
.answers.two { grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
article { position: relative; display: flex; flex-wrap: wrap; gap: 0.9rem; padding: 0.75rem;
  border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); }
.square { all: unset; cursor: pointer; box-sizing: border-box; flex: 0 0 9rem; height: 9rem; background: #8a8f96;
  border-radius: var(--st-base-radius); overflow: hidden; }
.square:focus-visible, .word:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.square:hover { filter: brightness(1.06); }
img { width: 100%; height: 100%; object-fit: contain; display: block; }
img.pixels { image-rendering: pixelated; }
.text { flex: 1 1 12rem; min-width: 0; }
h4 { margin: 0 0 0.1rem; font-size: 1.05rem; font-weight: 600; overflow-wrap: anywhere; }
.name { font-size: 0.8rem; opacity: 0.85; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  margin-bottom: 0.5rem; }
.row { display: grid; grid-template-columns: minmax(0, 1fr) auto; column-gap: 0.5rem; font-size: 0.85rem;
  font-variant-numeric: tabular-nums; margin-bottom: 0.3rem; }
.label { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.track { grid-column: 1 / -1; height: 0.4rem; border-radius: 0.2rem; background: var(--st-secondary-background-color);
  overflow: hidden; }
.fill { height: 100%; background: var(--st-primary-color); }
.hint { font-size: 0.85rem; margin: 0 0 0.5rem; }
.refused .fill { opacity: 0.45; }
.verdicts { display: grid; gap: 0.9rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); }
.model { font-size: 0.75rem; opacity: 0.85; overflow-wrap: anywhere; }
.mark { font-size: 0.8rem; font-weight: 600; }
.tick { position: absolute; top: 0.35rem; left: 0.35rem; padding: 0.4rem; line-height: 0; cursor: pointer; }
.tick input { width: 1.15rem; height: 1.15rem; margin: 0; cursor: pointer; accent-color: var(--st-primary-color); }
.tick input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 1px; }
.chosen { border-color: var(--st-primary-color); box-shadow: 0 0 0 1px var(--st-primary-color); }
.tools { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; margin-bottom: 0.6rem;
  font-family: var(--st-font); color: var(--st-text-color); font-size: 0.9rem; min-height: 1.8rem; }
.word { all: unset; cursor: pointer; color: var(--st-link-color); text-decoration: underline;
  text-underline-offset: 0.2em; padding: 0.1rem 0.2rem; }
.word[hidden] { display: none; }
.problem { margin: 0; }
.problem strong { color: var(--st-red-text-color); }
"""

_JS = """
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) { element.textContent = text; element.title = text; }
  return element;
}

function told(one) {
  const box = make("div", one.hint ? "refused" : "");
  if (one.model) box.append(make("div", "model", one.model));
  box.append(make("h4", "", one.words));
  if (one.hint) box.append(make("p", "hint", one.hint));
  for (const [label, share, width] of one.rows) {
    const row = make("div", "row");
    const track = make("div", "track");
    const fill = make("div", "fill");
    fill.style.width = width + "%";
    track.append(fill);
    row.append(make("span", "label", label), make("span", "", share), track);
    box.append(row);
  }
  return box;
}

function card(item, tools) {
  const article = make("article");
  const text = make("div", "text");
  text.append(make("div", "name", item.name));
  if (item.error) {
    const problem = make("p", "problem");
    problem.append(make("strong", "", "Not classified. "), make("span", "", item.error));
    text.append(problem);
    article.append(text);
    return article;
  }
  const square = make("button", "square");
  square.type = "button";
  square.title = "Open this image";
  square.onclick = () => tools.open(item.id);
  const image = make("img", item.pixel_art ? "pixels" : "");
  image.alt = "Open " + item.verdicts[0].words + ": " + item.name;
  image.src = item.preview;
  square.append(image);
  const verdicts = make("div", "verdicts");
  verdicts.append(...item.verdicts.map(told));
  text.append(verdicts);
  if (item.mark) text.append(make("div", "mark", "\\u2713 " + item.mark));
  const tick = make("label", "tick");
  const input = make("input");
  input.type = "checkbox";
  input.value = item.id;
  input.setAttribute("aria-label", "Select " + item.name);
  input.onchange = () => tools.toggle(input);
  tick.append(input);
  article.append(square, text, tick);
  return article;
}

// The selection lives here, in the page; the script is told of every change and asks for none.
function selection(root, report) {
  const chosen = new Set();
  const bar = make("div", "tools");
  const output = make("output");
  const boxes = () => [...root.querySelectorAll(".tick input")];
  const show = () => {
    for (const box of boxes()) {
      box.checked = chosen.has(box.value);
      box.closest("article").classList.toggle("chosen", box.checked);
    }
    const here = boxes().filter((box) => box.checked).length;
    output.textContent = chosen.size ? chosen.size.toLocaleString("en") + " selected" : "Tick images to keep them";
    if (chosen.size > here) output.textContent += ", " + (chosen.size - here) + " of them not shown here";
    bar.hidden = boxes().length === 0 && chosen.size === 0;
    page.hidden = here === boxes().length;
    none.hidden = chosen.size === 0;
  };
  const changed = () => { show(); report([...chosen]); };
  const word = (text, act) => {
    const button = make("button", "word", text);
    button.type = "button";
    button.onclick = act;
    return button;
  };
  const page = word("Select page", () => { boxes().forEach((box) => chosen.add(box.value)); changed(); none.focus(); });
  const none = word("Clear selection", () => { chosen.clear(); changed(); page.focus(); });
  bar.append(output, page, none);
  root.prepend(bar);
  return {
    show,
    toggle(box) {
      box.checked ? chosen.add(box.value) : chosen.delete(box.value);
      changed();
    },
  };
}

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  const drawn = JSON.stringify(data);
  let answers = parentElement.querySelector(".answers");
  if (!answers) {
    answers = make("div", "answers");
    parentElement.append(answers);
    answers.tools = selection(parentElement, (ids) => setStateValue("selected", ids));
  }
  answers.tools.open = (id) => setTriggerValue("opened", id);
  if (answers.dataset.drawn === drawn) return;  // a rerun with the same answers keeps focus and scroll
  answers.dataset.drawn = drawn;
  answers.classList.toggle("two", data.some((item) => item.verdicts.length > 1));
  answers.replaceChildren(...data.map((item) => card(item, answers.tools)));
  answers.tools.show();
}
"""

_component = st.components.v2.component("darkroom_answers", css=_CSS, js=_JS)


def show_answers(answers: list[Shown], key: str) -> tuple[str | None, list[str]]:
    """Draw the cards; gives the id of the image that was just clicked, else None, and the ids that are ticked.

    Args:
        key: what was ticked stays so when other cards are drawn under the same key, as on the next page.
    """
    result = _component(
        data=[asdict(answer) for answer in answers],
        key=key,
        default={"selected": []},
        on_opened_change=keys.catch_up,
        on_selected_change=keys.catch_up,
    )
    return result.opened, list(result.selected or [])
