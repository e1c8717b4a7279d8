"""Which of the runs is better: a verdict in words, the figures of each with intervals, all against one reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core import charts_compare
from core.evaluation.comparison import against_one
from core.evaluation.pairing import Pairing
from core.evaluation.verdict import p_in_words, points, verdict, verdict_of_many
from core.wording import count, duration, percent, percent_interval, significant
from pages._components import keys
from pages._components.compare import reading
from pages._components.compare.chosen import Chosen
from pages._components.compare.offer import offer
from pages._components.figures import show_figure
from pages._components.states import state_text
from pages._components.text import escape


def headline(chosen: Sequence[Chosen]) -> str:
    """The page's answer in one or two sentences."""
    reference, others = reference_of(chosen)
    pairs = {one.letter: reading.pairing(reference.run, one.run) for one in others}
    possible = {one.letter: one for one in others if pairs[one.letter].is_possible}
    if not possible:
        return f"Their accuracies do not say which is better: {_no_pair(pairs)}"
    if len(others) == 1:
        return verdict(reading.difference(reference.run, others[0].run), reference.letter, others[0].letter)
    found = {letter: reading.difference(reference.run, one.run) for letter, one in possible.items()}
    said = verdict_of_many(against_one(found), reference.letter)
    left = [letter for letter in pairs if letter not in possible]
    return said + (f" Not tested on the same images as {reference.letter}: {', '.join(left)}." if left else "")


def _no_pair(pairs: Mapping[str, Pairing]) -> str:
    reasons = list(dict.fromkeys(pairing.why_not for pairing in pairs.values()))
    return reasons[0] if len(reasons) == 1 else "no two of them were tested on the same images."


def reference_of(chosen: Sequence[Chosen]) -> tuple[Chosen, list[Chosen]]:
    """The run all others are compared with, as the address says, and the others; A by default."""
    asked = st.query_params.get(keys.AGAINST)
    reference = next((one for one in chosen if one.run.id == asked), chosen[0])
    return reference, [one for one in chosen if one is not reference]


def draw(chosen: Sequence[Chosen]) -> None:
    """The figures of each run, then how far each is from the reference."""
    _figures(chosen)
    reference, others = reference_of(chosen)
    pairs = {one.letter: reading.pairing(reference.run, one.run) for one in others}
    offer(reference, [(one, pairs[one.letter]) for one in others])
    possible = [one for one in others if pairs[one.letter].is_possible]
    if possible:
        found = {one.name: reading.difference(reference.run, one.run) for one in possible}
        _differences(against_one(found), reference)


def _figures(chosen: Sequence[Chosen]) -> None:
    rows = [one.row for one in chosen]
    table = pd.DataFrame(
        {
            "Run": [f"{one.letter}: {one.title}" for one in chosen],
            "State": [row["state"] for row in rows],
            "Test accuracy, 95 % interval": [
                percent_interval(row["test_accuracy"], row["test_accuracy_low"], row["test_accuracy_high"])
                for row in rows
            ],
            "Validation accuracy": [percent(row["val_accuracy"]) for row in rows],
            "Macro F1": [percent(row["macro_f1"]) for row in rows],
            "Test loss": [significant(row["test_loss"]) for row in rows],
            "Test images": [_whole(row["num_test"]) for row in rows],
            "Epochs": [_whole(row["epochs_done"]) for row in rows],
            "Time": [duration(row["seconds"]) for row in rows],
        }
    )
    st.dataframe(table, hide_index=True, key="compared-figures")
    at_work = [one.letter for one in chosen if one.row["state"] in ("queued", "running", "stopping", "stalled")]
    if at_work:
        st.caption(f"{state_text('running')} Not finished yet: {', '.join(at_work)}. Reload to see how far they are.")
    with st.container(horizontal=True, key="compared-links"):
        for one in chosen:
            query = {keys.RUN: one.run.id}
            st.page_link(keys.RUNS, label=f"Open {one.letter}", icon=":material/open_in_new:", query_params=query)


def _differences(table: pd.DataFrame, reference: Chosen) -> None:
    if len(table) > 1:
        figure = charts_compare.differences_chart(table, reference.name)
        show_figure(figure, table, "differences", f"Difference in test accuracy from {reference.name}, with intervals")
    shown = pd.DataFrame(
        {
            f"Against {reference.letter}": table["run"],
            "Difference (points)": [_signed(value) for value in table["difference"]],
            "95 % interval": [
                f"{points(low)} to {points(high)}" for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "Exact McNemar p": [p_in_words(value) for value in table["p_value"]],
            f"Right in it alone, in {reference.letter} alone": [
                f"{count(run)}, {count(other)}"
                for run, other in zip(table["only_run"], table["only_reference"], strict=True)
            ],
            "Test images": [count(number) for number in table["num_images"]],
        }
    )
    st.dataframe(shown, hide_index=True, key="compared-differences")
    st.caption(
        "The p-value is the chance of so uneven a count, or worse, if both were equally good. The interval is drawn "
        "from the same test images, image by image, so it is narrower than those of the two accuracies suggest. "
        + escape("Both speak of these trained models; how much another seed would move them is under Seeds.")
    )


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{points(share)}"


def _whole(number: float) -> str:
    return count(None if pd.isna(number) else int(number))
