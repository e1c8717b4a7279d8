"""How evenly the training images are spread over the classes, and the setting that makes up for it."""

from __future__ import annotations

import math

import streamlit as st

from core import charts_data
from core.data.balance import Balance, Remedy, judge
from core.wording import count, significant
from pages._components.config_form import set_fields
from pages._components.figures import show_figure
from pages._components.text import escape
from pages._components.train.planned import Planned

_BARS = 40  # classes drawn
_REMEDIES: dict[Remedy, str] = {"optim.class_weights": "Use class weights", "optim.sampler": "Use a balanced sampler"}


def balance(planned: Planned) -> Balance:
    """What is to be said of the training images' classes."""
    return judge(planned.classes["label"].tolist(), planned.classes["train"].tolist(), planned.config.optim)


def draw(planned: Planned) -> None:
    """Class counts of the training split with advice where they are uneven."""
    counts = planned.classes[["label", "train"]].rename(columns={"train": "images"})
    counts = counts.sort_values(["images", "label"], ascending=[False, True], ignore_index=True)
    found = balance(planned)
    if math.isfinite(found.ratio):
        st.markdown(
            f"The largest of {count(len(counts), 'class', 'classes')} has **{significant(found.ratio)} times** as "
            f"many training images as the smallest. {escape(found.words) if found.advised is None else ''}"
        )
    if found.advised is not None:
        st.warning(escape(found.words), icon=":material/balance:")
        with st.container(horizontal=True):
            for path, label in _REMEDIES.items():
                st.button(
                    label,
                    key=f"remedy-{path}",
                    type="primary" if path == found.advised else "secondary",
                    on_click=set_fields,
                    args=({path: "balanced"},),
                )
    shown = counts.head(_BARS)
    note = f"The {_BARS} largest of {count(len(counts))}" if len(shown) < len(counts) else "Training split"
    show_figure(charts_data.class_bars(shown, False, note), counts, "training-classes", "Training images of each class")
