"""What a card says of a classified image, and its small copy."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import ImageReadError
from core.preprocess import decode
from core.wording import percent

PREVIEW = 256  # pixels, longer side
_TOP = 5


@dataclass(frozen=True)
class Verdict:
    """What one model says of an image.

    Attributes:
        model: its name, where more than one is asked; else empty.
        words: the answer in one line; where the model is not sure or the image is strange, that.
        hint: why the answer should not be taken for one, else empty.
        rows: (class, its share in words, percent 0..100 for the bar), likeliest first.
    """

    model: str
    words: str
    hint: str
    rows: list[tuple[str, str, float]]


@dataclass(frozen=True)
class Shown:
    """One image as a card.

    Attributes:
        id: what a click and a selection report.
        preview: the image as a `data:` address, empty where it could not be read.
        verdicts: of each model; none where there is an error.
        error: why there is no answer, else None.
        mark: a word on what was done with it, such as "kept as cat"; may be empty.
    """

    id: str
    name: str
    preview: str
    verdicts: list[Verdict]
    error: str | None = None
    pixel_art: bool = False
    mark: str = ""


def verdict(row: dict[str, Any], suffix: str, threshold: float | None, model: str = "") -> Verdict:
    """What a model says, from a row of `core.inference.answered`.

    Args:
        suffix: of the row's columns: empty, or ` 2` for the second model.
        threshold: the confidence, 0..1, below which this model is not sure; None where there is none.
    """
    kind, label, confidence = (row[f"{name}{suffix}"] for name in ("kind", "label", "confidence"))
    if kind == "waiting":
        return Verdict(model, "Not asked yet", "", [])
    if kind == "not read":
        return Verdict(model, "Not classified", str(row[f"error{suffix}"]), [])
    rows = [(name, percent(share), 100 * share) for name, share in row[f"top{suffix}"][:_TOP]]
    likeliest = f"{label} is likeliest, with {percent(confidence)}"
    if kind == "strange":
        hint = f"It was trained on nothing like this, so it gives no answer; {likeliest}."
        return Verdict(model, "Unlike its own images", hint, rows)
    if kind == "not sure":
        return Verdict(model, "Not sure", f"It answers from {percent(threshold)} on; {likeliest}.", rows)
    return Verdict(model, f"{label}, {_sureness(confidence)}", "", rows)


def _sureness(confidence: float) -> str:
    """The confidence in words, with its figure."""
    for limit, words in ((0.95, "very sure"), (0.8, "fairly sure"), (0.5, "not sure")):
        if confidence >= limit:
            return f"{words} ({percent(confidence)})"
    return f"a guess ({percent(confidence)})"


def preview(file: Path, side: int = PREVIEW) -> tuple[str, bool]:
    """A small copy as a `data:` address, empty where the file is no image, and whether it is pixel art."""
    try:
        return _preview(str(file), file.stat().st_mtime_ns, side)
    except OSError:
        return "", False


@st.cache_resource(max_entries=400, show_spinner=False)
def _preview(file: str, changed: int, side: int) -> tuple[str, bool]:
    try:
        image = decode(Path(file), at_least=side)
    except ImageReadError:
        return "", False
    small = max(image.size) < 64
    image.thumbnail((side, side))
    stream = BytesIO()
    image.save(stream, "PNG" if small else "JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}", small
