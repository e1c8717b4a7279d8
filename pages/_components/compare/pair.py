"""Two of the runs, image by image: which classes changed, and the images whose answer flipped."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import charts_compare
from core.data import thumbnails
from core.evaluation.comparison import Way, flips
from core.evaluation.pairing import Pairing
from core.evaluation.verdict import p_in_words
from core.runs.store import Run
from core.wording import count, percent
from pages._components import keys, readers
from pages._components.compare import reading
from pages._components.compare.answers import reference_of
from pages._components.compare.chosen import Chosen
from pages._components.compare.offer import offer
from pages._components.figures import show_figure
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.guard import fragment

_A_PAGE = 48
_ALL = "All classes"


def draw_classes(chosen: Sequence[Chosen]) -> None:
    """How each class fares."""
    a, b, pairing = _pair(chosen)
    if not pairing.is_possible:
        return
    table = reading.class_differences(a.run, b.run)
    figure = charts_compare.class_differences_chart(table, a.letter, b.letter)
    show_figure(figure, table, "class-differences", "Difference in recall of each class, with intervals")
    shares = ("recall_a", "recall_b", "difference", "low", "high")
    config = {
        "label": st.column_config.TextColumn("Class"),
        "images": st.column_config.NumberColumn("Test images", format="localized"),
        "recall_a": st.column_config.NumberColumn(f"Recall of {a.letter}", format="%.1f %%"),
        "recall_b": st.column_config.NumberColumn(f"Recall of {b.letter}", format="%.1f %%"),
        "difference": st.column_config.NumberColumn("Difference (points)", format="%+.1f"),
        "low": st.column_config.NumberColumn("95 % from", format="%+.1f"),
        "high": st.column_config.NumberColumn("to", format="%+.1f"),
        "only_a": st.column_config.NumberColumn(f"Right in {a.letter} alone"),
        "only_b": st.column_config.NumberColumn(f"Right in {b.letter} alone"),
        "p_value": st.column_config.TextColumn(
            "p", help="Exact McNemar, corrected for the number of classes in which anything differs."
        ),
    }
    shown = table.assign(**{name: table[name] * 100 for name in shares}).sort_values("difference", ascending=False)
    shown["p_value"] = shown["p_value"].map(p_in_words)
    st.dataframe(shown, hide_index=True, column_config=config, key="compared-classes")


@fragment
def draw_flips(chosen: Sequence[Chosen]) -> None:
    """The images that one answers rightly and the other wrongly, either way, and those both get wrong differently."""
    a, b, pairing = _pair(chosen)
    if not pairing.is_possible:
        return
    ways: dict[str, Way] = {
        f"Right in {b.letter} alone": "only_b",
        f"Right in {a.letter} alone": "only_a",
        "Wrong in both, differently": "neither",
    }
    found = {title: flips(pairing.rows, way) for title, way in ways.items()}
    named = {way: f"{title} ({count(len(found[title]))})" for title, way in ways.items()}
    way = st.segmented_control(
        "Images",
        list(named),
        format_func=named.__getitem__,
        required=True,
        **keys.linked(keys.FLIPS, keys.one_of(list(named)), "only_b"),
    )
    rows = found[next(title for title, one in ways.items() if one == way)]
    labels = sorted(set(rows["label"]))
    if len(labels) > 1:
        options = [_ALL, *labels]
        label = st.selectbox("Class", options, **keys.linked(keys.CLASS, keys.one_of(options), _ALL))
        rows = rows if label == _ALL else rows[rows["label"] == label]
    if rows.empty:
        st.markdown("There is no such image.")
        return
    page = keys.page_of(len(rows), _A_PAGE, keys.PAGE)
    shown = rows.iloc[(page - 1) * _A_PAGE : page * _A_PAGE]
    owner = next(one.run for one in (a, b) if one.run.id == pairing.tested)
    with st.container(key="flips-gallery"):
        picked = gallery(_tiles(owner, shown, a, b), "Images whose answer flipped", key=f"flips-tiles-{way}")
    if picked:
        keys.open_image(owner.config.data.dataset, picked, keys.COMPARE)


def _pair(chosen: Sequence[Chosen]) -> tuple[Chosen, Chosen, Pairing]:
    """The reference and the run compared with it, to choose where there are several, and what they share."""
    reference, others = reference_of(chosen)
    other = others[0]
    if len(others) > 1:
        by_id = {one.run.id: one.name for one in others}
        picked = st.selectbox(
            f"Compared with {reference.name}",
            list(by_id),
            format_func=by_id.__getitem__,
            **keys.linked(keys.OF, keys.one_of(list(by_id)), others[0].run.id),
        )
        other = next(one for one in others if one.run.id == picked)
    pairing = reading.pairing(reference.run, other.run)
    offer(reference, [(other, pairing)])
    return reference, other, pairing


def _tiles(owner: Run, shown: pd.DataFrame, a: Chosen, b: Chosen) -> list[Tile]:
    dataset_id = owner.config.data.dataset
    sizes = readers.run_rows(owner).drop_duplicates("path").set_index("path").loc[shown["path"], ["width", "height"]]
    return [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset_id, row.content_hash),
            alt=f"true {row.label}, {a.letter} says {row.predicted_a}, {b.letter} says {row.predicted_b}: {row.path}",
            caption=f"true {row.label}; {a.letter}: {row.predicted_a}, {percent(row.confidence_a)}",
            note=f"{b.letter}: {row.predicted_b}, {percent(row.confidence_b)}",
            pixel_art=max(size.width, size.height) < PIXEL_ART_BELOW,
        )
        for row, size in zip(shown.itertuples(), sizes.itertuples(), strict=True)
    ]
