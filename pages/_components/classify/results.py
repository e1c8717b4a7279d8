"""A batch's answers: how many there are, which of them to see and in which order, cards, and files to take away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.files import csv_bytes
from core.inference.answered import KINDS, ORDERS, Wanted, csv_table, json_bytes, select
from core.inference.batches import Batch
from core.inference.bundle import Bundle
from core.runs.store import Run
from core.wording import count, percent
from pages._components import keys
from pages._components.answers import show_answers
from pages._components.classify import batch as of_session
from pages._components.classify.cards import Shown, preview, verdict
from pages._components.classify.keeping import TICKED, keep_bar, kept_as, say_kept
from pages._components.classify.opened import OPENED, opened_image
from pages._components.text import escape

_A_PAGE = 12
_FEW = 6  # images that need neither filter nor order
_CLASSES_LISTED = 1000


def results(batch: Batch, table: pd.DataFrame, models: Sequence[tuple[Run, Bundle, str]]) -> None:
    """Draw them.

    Args:
        table: of `have_answered`.
        models: each with its bundle and its name, the first one the page's.
    """
    _summary(table)
    wanted = _wanted(table) if len(table) > _FEW else Wanted()
    shown = select(table, wanted)
    if len(shown) < len(table):
        st.markdown(f"**{count(len(shown))} of {count(len(table), 'file')}**")
    opened = st.session_state.get(OPENED)
    rows = {row["path"]: row for row in table[table["path"] == opened].to_dict("records")} if opened else {}
    if opened in rows:
        opened_image(batch, rows[opened], models)
    page = keys.page_of(len(shown), _A_PAGE, keys.PAGE)
    drawn = shown.iloc[(page - 1) * _A_PAGE : page * _A_PAGE].to_dict("records")
    keeping = st.container()
    picked, chosen = show_answers([_card(batch, row, models) for row in drawn], key="answer-cards")
    if picked and picked != opened:
        st.session_state[OPENED] = picked
        st.rerun()
    with keeping:  # above the cards, and known only when these are drawn
        ticked = table[table["path"].isin(chosen) & table["label"].notna()].to_dict("records")
        if ticked:
            keep_bar(batch, ticked, models[0][1].classes, key=TICKED)
        say_kept()
    _take_away(batch, shown, [run.id for run, *_ in models])


def _summary(table: pd.DataFrame) -> None:
    kinds = table["kind"].value_counts()
    unread, waiting = int(kinds.get("not read", 0)), int(kinds.get("waiting", 0))
    refused = int(kinds.get("not sure", 0) + kinds.get("strange", 0))
    words = f"{count(len(table) - unread - waiting, 'image')} classified"
    words += f", {count(refused)} without an answer" if refused else ""
    words += f", {count(unread, 'file')} not" if unread else ""
    words += f", {count(waiting)} to come" if waiting else ""
    st.subheader(words)
    if "kind 2" in table and (both := table["label"].notna() & table["label 2"].notna()).any():
        same = int((table["label"] == table["label 2"])[both].sum())
        st.markdown(f"Both models name the same class for {count(same)} of {count(int(both.sum()), 'image')}.")


def _wanted(table: pd.DataFrame) -> Wanted:
    labels = table["label"].dropna().value_counts().head(_CLASSES_LISTED)
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    with st.container(horizontal=True, vertical_alignment="bottom", key="answer-filters"):
        order = st.selectbox("Order", ORDERS, key="answer-order", width=170, **_start_over())
        chosen = st.multiselect(
            "Class",
            list(labels.index),
            key="answer-classes",
            format_func=lambda label: f"{label} ({count(int(labels[label]))})",
            placeholder=f"All {count(len(labels))}",
            width=230,
            **_start_over(),
        )
        name = st.text_input("Part of the name", key="answer-name", width=170, **_start_over())
        least, most = st.slider(
            "Confidence", 0, 100, (0, 100), format="%d %%", key="answer-confidence", width=200, **_start_over()
        )
        differ = "kind 2" in table and st.toggle("Only where they differ", key="answer-differ", **_start_over())
    picked: Any = []
    if len(kinds) > 1:
        picked = st.pills("Show", kinds, selection_mode="multi", key="answer-kinds", **_start_over())
    return Wanted(tuple(chosen), tuple(picked), name.strip(), least / 100, most / 100, bool(differ), order)


def _start_over() -> dict[str, Any]:
    """Arguments of a filter: it stays on other pages, and its change leads to the first page of cards."""
    return {"persist_state": "session", "on_change": keys.write, "args": (keys.PAGE, None)}


def _card(batch: Batch, row: dict[str, Any], models: Sequence[tuple[Run, Bundle, str]]) -> Shown:
    if row["kind"] == "not read":
        return Shown(row["path"], row["name"], "", [], row["error"])
    small, pixel_art = preview(batch.file(row["path"]))
    verdicts = [
        verdict(row, suffix, bundle.abstention_threshold, name if len(models) > 1 else "")
        for (_, bundle, name), suffix in zip(models, ("", " 2"), strict=False)
    ]
    return Shown(row["path"], row["name"], small, verdicts, None, pixel_art, kept_as(batch, row["path"]))


def _take_away(batch: Batch, shown: pd.DataFrame, models: list[str]) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "Answers as CSV",
            lambda: csv_bytes(csv_table(shown)),
            "answers.csv",
            "text/csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
        st.download_button(
            "Answers as JSON",
            lambda: json_bytes(shown, models),
            "answers.json",
            "application/json",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
        st.button(
            "Forget these images",
            type="tertiary",
            icon=":material/delete:",
            key="forget-batch",
            help="Deletes the copies and the answers. Images kept in a collection stay there.",
            on_click=of_session.forget,
            args=(batch,),
        )


def what_it_means(bundle: Bundle) -> str:
    """How the model's confidence came about, and when it gives no answer."""
    honest = "Confidences are calibrated on its validation images. " if bundle.temperature != 1 else ""
    if bundle.abstention_threshold is None:
        when = "It answers however unsure it is: a threshold is chosen on Evaluate, under When to trust it."
    else:
        when = f"Below {percent(bundle.abstention_threshold)} it says that it is not sure."
    return escape(honest + when)
