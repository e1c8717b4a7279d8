"""Labels that are probably wrong, worst first, each with what the other images suggest."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core.data import summary as summaries
from core.data.analysis import Summary, most_suspicious
from core.data.datasets import Dataset
from core.data.edits import relabel
from core.data.filters import Filters
from core.data.label_issues import LEAST_NOISE
from core.wording import count, percent
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.analysis_panel import analysis_panel
from pages._components.dataset_tiles import tiles_at
from pages._components.edit_bar import edit_bar
from pages._components.explore.filters_bar import filters_bar
from pages._components.gallery import Tile, gallery
from pages._components.guard import fragment, guarded
from pages._components.text import escape

IMAGES_A_PAGE = 60
MAX_LISTED = 3_000  # nobody looks further down
FLAGGED, ALL = "Suspicious", "All, worst first"
_REASON = "suggested by the other images"


def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The analysis where there is none, else the list."""
    summary = analysis_panel(workspace, dataset)
    if summary is None or "label_issue_score" not in readers.dataset_rows(dataset):
        return
    if summary.accuracy is None:
        st.info(escape(summary.no_labels_because), icon=":material/info:")
        return
    fragment(_issues)(workspace, dataset, summary)


def _issues(workspace: Workspace, dataset: Dataset, summary: Summary) -> None:
    st.markdown(_answer(summary))
    with st.expander("What this can and cannot tell", icon=":material/help:"):
        st.markdown(_METHOD)
    filters = filters_bar(dataset)
    which = st.segmented_control(
        "Show labels", (FLAGGED, ALL), required=True, **keys.linked("labels", keys.one_of((FLAGGED, ALL)), FLAGGED)
    )
    asked = filters if which == ALL else replace(filters, flags=("label_issue",))
    places = readers.counted(
        dataset, asked, "most suspicious", lambda rows, mask: most_suspicious(rows, mask, MAX_LISTED)
    )
    if not len(places):
        st.success("No label is suspicious enough to be listed.", icon=":material/check_circle:")
        edit_bar(workspace, dataset, [], [], key="label-issues")
        return
    page = keys.page_of(len(places), IMAGES_A_PAGE, keys.PAGE)
    tiles = _tiles(dataset, asked, places[(page - 1) * IMAGES_A_PAGE : page * IMAGES_A_PAGE])
    with st.container(key="label-issues"):
        key = f"label-issues-{dataset.id}-{dataset.fingerprint}"
        picked, ticked = gallery(tiles, "Images with a suspicious label, worst first", key=key, selectable=True)
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
    _accept(workspace, dataset, ticked)
    edit_bar(workspace, dataset, ticked, readers.labels(dataset), key="label-issues")


def _answer(summary: Summary) -> str:
    flagged = count(summary.num_label_issues, "label is", "labels are")
    estimate = "hardly any" if (summary.noise or 0) <= LEAST_NOISE else f"about {percent(summary.noise)}"
    return (
        f"**{flagged} suspicious** among {count(summary.num_images, 'image')}. The other images tell "
        f"{percent(summary.accuracy)} of the classes (cross-validated), and {estimate} of all labels are estimated to "
        "be wrong."
    )


_METHOD = """
Each image is judged by a linear classifier that was fitted without it and without images that look the same, on what an
ImageNet network sees. The images are ordered by how little probability that classifier gives to their label (confident
learning, Northcutt et al. 2021). How improbable is suspicious depends on how good the classifier is here: a mixture of
correct and wrong labels is fitted to the whole dataset, and the probability of being wrong that follows is multiplied
by the share of classes the other images tell, and by less where a class has few images. A label is listed from 30 % on:
where classes are hard to tell from one another or have some dozen images few labels are listed, or none.

It finds labels that contradict what is seen, one by one. It cannot find a mistake that was made throughout a class,
tell classes apart that the network cannot, or know what lies outside the picture. Images that show two things, or none,
are listed too: those may be better excluded. Look before you accept.
"""


def _tiles(dataset: Dataset, filters: Filters, places: object) -> list[Tile]:
    """The images with what the others suggest below each label."""
    rows = readers.dataset_rows(dataset)
    found = summaries.rows_at(rows, places, ["label", "suggested_label", "suggested_probability"])
    return [
        replace(tile, note=_suggestion(row.label, row.suggested_label, row.suggested_probability))
        for tile, row in zip(tiles_at(dataset, places), found.itertuples(), strict=True)
    ]


def _suggestion(label: str, suggested: str, probability: float) -> str:
    if suggested == label:
        return f"fits, {percent(probability)}"
    return f"rather {suggested}, {percent(probability)}"


def _accept(workspace: Workspace, dataset: Dataset, ticked: list[str]) -> None:
    """Give the selected images the class the others suggest: one correction for each class."""
    if not ticked:
        return
    rows = readers.dataset_rows(dataset)
    chosen = rows.loc[rows["path"].isin(ticked), ["path", "label", "suggested_label"]].astype("str")
    chosen = chosen[chosen["label"] != chosen["suggested_label"]].dropna()
    if chosen.empty:
        return
    words = f"Relabel {count(len(chosen), 'image')} as suggested"
    if st.button(words, icon=":material/auto_fix_high:", key="accept-suggestions", type="primary"):
        with guarded():
            for label, paths in chosen.groupby("suggested_label")["path"]:
                relabel(workspace, dataset.id, paths.tolist(), str(label), _REASON)
            st.rerun()
