"""Classified uploads and photos: each image beside its ranked classes, or the reason why there are none."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from io import BytesIO

import streamlit as st

from core.errors import ImageReadError
from core.inference.classifier import Answer
from core.preprocess import decode
from core.wording import percent

PREVIEW = 256  # pixels, longer side
_TOP = 5


@dataclass(frozen=True)
class Shown:
    """One answer as the session keeps it: small enough for hundreds of them.

    Attributes:
        preview: the image as a `data:` address, empty where it could not be read.
        words: the answer in one line; where the model is not sure or the image is strange, that.
        hint: why the answer should not be taken for one, else empty.
        rows: (class, its share in words, percent 0..100 for the bar), likeliest first.
        error: why there is no answer, else None.
    """

    name: str
    preview: str
    words: str
    rows: list[tuple[str, str, float]]
    error: str | None
    pixel_art: bool = False
    hint: str = ""

    @property
    def refused(self) -> bool:
        """Whether the model was shown the image and rather gave no answer."""
        return bool(self.hint)


def shown_answer(data: bytes, answer: Answer, threshold: float | None = None) -> Shown:
    """An answer made ready to show, with a small copy of its image.

    Args:
        threshold: the confidence, 0..1, below which the model is not sure; None where there is none.
    """
    if answer.error is not None or answer.label is None or answer.confidence is None:
        return Shown(answer.name, "", "", [], answer.error or "There is no answer for this image.")
    preview, pixel_art = _preview(data)
    rows = [(label, percent(share), 100 * share) for label, share in answer.top[:_TOP]]
    words, hint = _verdict(answer, answer.label, answer.confidence, threshold)
    return Shown(answer.name, preview, words, rows, None, pixel_art, hint)


def _verdict(answer: Answer, label: str, confidence: float, threshold: float | None) -> tuple[str, str]:
    """The answer in a line, and why it should not be taken for one."""
    likeliest = f"{label} is likeliest, with {percent(confidence)}"
    if answer.familiar is False:
        return "Unlike its own images", f"It was trained on nothing like this, so it gives no answer; {likeliest}."
    if not answer.sure:
        return "Not sure", f"It answers from {percent(threshold)} on; {likeliest}."
    return f"{label}, {_sureness(confidence)}", ""


def _sureness(confidence: float) -> str:
    """The confidence in words, with its figure."""
    for limit, words in ((0.95, "very sure"), (0.8, "fairly sure"), (0.5, "not sure")):
        if confidence >= limit:
            return f"{words} ({percent(confidence)})"
    return f"a guess ({percent(confidence)})"


def _preview(data: bytes) -> tuple[str, bool]:
    try:
        image = decode(data, at_least=PREVIEW)
    except ImageReadError:
        return "", False
    small = max(image.size) < 64
    image.thumbnail((PREVIEW, PREVIEW))
    stream = BytesIO()
    image.save(stream, "PNG" if small else "JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}", small


_CSS = """
:host { display: block; }
.answers { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr));
  font-family: var(--st-font); color: var(--st-text-color); }
article { display: flex; flex-wrap: wrap; gap: 0.9rem; border: 1px solid var(--st-border-color); padding: 0.75rem;
  border-radius: var(--st-base-radius); }
.square { flex: 0 0 9rem; height: 9rem; background: #8a8f96; border-radius: var(--st-base-radius); overflow: hidden; }
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

function card(item) {
  const article = make("article");
  const text = make("div", "text");
  if (item.error) {
    const problem = make("p", "problem");
    problem.append(make("strong", "", "Not classified. "), make("span", "", item.error));
    text.append(make("div", "name", item.name), problem);
    article.append(text);
    return article;
  }
  const square = make("div", "square");
  const image = make("img", item.pixel_art ? "pixels" : "");
  image.alt = item.words + ": " + item.name;
  image.src = item.preview;
  square.append(image);
  text.append(make("h4", "", item.words), make("div", "name", item.name));
  if (item.hint) {
    article.className = "refused";
    text.append(make("p", "hint", item.hint));
  }
  for (const [label, share, width] of item.rows) {
    const row = make("div", "row");
    const track = make("div", "track");
    const fill = make("div", "fill");
    fill.style.width = width + "%";
    track.append(fill);
    row.append(make("span", "label", label), make("span", "", share), track);
    text.append(row);
  }
  article.append(square, text);
  return article;
}

export default function ({ data, parentElement }) {
  const answers = make("div", "answers");
  answers.append(...data.map(card));
  parentElement.querySelector(".answers")?.remove();
  parentElement.append(answers);
}
"""

_component = st.components.v2.component("darkroom_answers", css=_CSS, js=_JS)


def show_answers(answers: list[Shown], key: str) -> None:
    """Draw the answers as cards."""
    _component(data=[asdict(answer) for answer in answers], key=key)
