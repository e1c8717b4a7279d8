"""What the random changes make of the user's own images, before a run is started."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.config import flatten, knobs, switched_on
from core.runs.previews import PREVIEWS, Preview
from core.wording import significant
from pages._components.guard import guarded
from pages._components.text import escape
from pages._components.train.planned import Planned
from pages._components.train.trial import Offer, draw_trial


def draw(planned: Planned) -> None:
    """The button that has them drawn, or the pictures."""
    changes = switched_on(planned.config.augment)
    if not changes:
        first = "Views to at least 1 and a change" if planned.config.model.tune == "head" else "one"
        st.markdown(
            "No change is switched on: the network sees each image the same in every epoch. "
            f"Set {first} under Augmentation to have images changed at random."
        )
        return
    st.markdown(f"Switched on: {escape(', '.join(_named(change, planned) for change in changes))}.")
    with guarded():
        draw_trial(planned, _OFFER)


def _pictures(planned: Planned, drawn: list[Preview]) -> None:
    st.caption("Each row is one of your training images: first as it is, then as it may come in one epoch or another.")
    for preview in drawn:
        title = "All changes together" if preview.change == "all" else _named(preview.change, planned)
        st.markdown(f"**{escape(title)}**")
        st.image(_picture(str(preview.picture), preview.picture.stat().st_mtime_ns), alt=f"Examples: {title}")


def _named(change: str, planned: Planned) -> str:
    """`Rotate degrees 10` for `augment.rotate_degrees`."""
    label = next(knob.label for knob in knobs() if knob.path == change)
    value = flatten(planned.config)[change]
    if isinstance(value, bool):
        return label
    return f"{label} {significant(value) if isinstance(value, float) else value}"


@st.cache_data(max_entries=32, show_spinner=False)
def _picture(path: str, changed: int) -> bytes:
    return Path(path).read_bytes()


_OFFER = Offer("previews", "Draw them on my images", PREVIEWS, _pictures, "Draw again")
