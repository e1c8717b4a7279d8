"""One image of a batch: large, with all a model says of it, where it looks on demand, and the way to keep it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import streamlit as st

from core.errors import DarkroomError
from core.evaluation.explainer import ExplainedImage, explain_later
from core.inference.batches import Batch
from core.inference.bundle import Bundle
from core.runs.store import Run
from core.wording import percent
from pages._components import readers
from pages._components.asking import ask, asked
from pages._components.classify import keeping
from pages._components.classify.cards import preview, verdict
from pages._components.guard import fragment, show_error
from pages._components.text import escape

OPENED = "opened-image"  # session: path of the image that is shown large
_MAPS = "maps-asked"  # session: (model, batch, path, class) -> future of its map
_MOST_KEPT = 40
_SIDE = 640

Asked = tuple[str, str, str, str]


def opened_image(batch: Batch, row: dict[str, Any], models: Sequence[tuple[Run, Bundle, str]]) -> None:
    """Draw it; raises nothing of its own."""
    with st.container(border=True, key="opened"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{escape(row['name'])}**")
            st.button("Close", icon=":material/close:", type="tertiary", key="close-opened", on_click=_close)
        image, looking = st.columns(2)
        large, pixel_art = preview(batch.file(row["path"]), _SIDE)
        with image:
            if large:
                st.image(large, width=256 if pixel_art else "stretch", caption=escape(f"{row['name']} as it came"))
        with looking:
            for (_, bundle, name), suffix in zip(models, ("", " 2"), strict=False):
                told = verdict(row, suffix, bundle.abstention_threshold)
                which = f"{escape(name)}: " if len(models) > 1 else ""
                st.markdown(f"{which}**{escape(told.words)}** {escape(told.hint)}")
            _where_it_looks(batch, row, models)
        if row["label"]:
            keeping.keep_bar(batch, [row], models[0][1].classes, key=keeping.OPENED)


def _where_it_looks(batch: Batch, row: dict[str, Any], models: Sequence[tuple[Run, Bundle, str]]) -> None:
    which = 0
    if len(models) > 1:
        names = [name for *_, name in models]
        which = names.index(st.segmented_control("Model", names, default=names[0], required=True, key="map-model"))
    run, bundle, _ = models[which]
    answered = row["label" if not which else "label 2"]
    likeliest = [label for label, _ in row["top" if not which else "top 2"]]
    if not answered:
        return
    classes = list(dict.fromkeys([*likeliest, *bundle.classes]))
    label = st.selectbox("What speaks for", classes, key=f"map-class-{run.id}-{row['path']}")
    wanted: Asked = (readers.model_version(run), batch.id, row["path"], label)
    maps: dict[Asked, Future[ExplainedImage]] = st.session_state.setdefault(_MAPS, {})
    st.button("Show where it looks", key="ask-map", icon=":material/center_focus_strong:", on_click=ask, args=("map",))
    if asked("map"):
        _forget(maps, wanted)
        maps[wanted] = explain_later(run, batch.file(row["path"]).read_bytes(), label)
    if wanted in maps:
        fragment(_map, run_every=None if maps[wanted].done() else 0.5)(maps[wanted], maps[wanted].done())


def _map(asked_for: Future[ExplainedImage], was_done: bool) -> None:
    if not asked_for.done():
        st.info("Looking. The first map after a while takes some seconds more.", icon=":material/hourglass_top:")
        return
    if not was_done:
        st.rerun()
    try:
        found = asked_for.result()
    except DarkroomError as error:
        show_error(error)
        return
    picture = f"data:image/jpeg;base64,{base64.b64encode(found.picture).decode()}"
    st.image(
        picture, width="stretch", caption=escape(f"Where it looks for {found.label} ({percent(found.confidence)})")
    )
    if found.fault:
        st.warning(f"This map cannot be believed. {escape(found.fault)}", icon=":material/block:")
    else:
        st.caption("Yellow speaks most for the class; hiding and showing what is marked moves the answer.")


def _forget(maps: dict[Asked, Future[ExplainedImage]], wanted: Asked) -> None:
    """A failure is asked for anew; the oldest maps make room."""
    maps.pop(wanted, None)
    while len(maps) >= _MOST_KEPT:
        maps.pop(next(iter(maps))).cancel()


def _close() -> None:
    st.session_state.pop(OPENED, None)
