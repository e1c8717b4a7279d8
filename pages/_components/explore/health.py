"""What is wrong with the images: every check's outcome, worst first, and the images of the one chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.charts_data import score_bars
from core.data import health
from core.data.checks import Check
from core.data.datasets import Dataset
from core.data.health import Finding
from core.wording import count, percent
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.dataset_tiles import tiles_at
from pages._components.edit_bar import edit_bar
from pages._components.figures import show_figure
from pages._components.gallery import gallery
from pages._components.guard import fragment
from pages._components.text import escape

IMAGES_A_PAGE = 60
GROUPS_A_PAGE = 10
SHOWN_OF_A_GROUP = 24


@fragment
def draw(workspace: Workspace, dataset: Dataset) -> None:
    """The summary on top, then one check: its scores, a threshold to move, and the images below it."""
    rows = readers.dataset_rows(dataset)
    if not rows["brightness"].notna().any():
        st.info("This dataset was indexed before there were checks. Add its folder again to have it checked.")
        return
    counted = readers.passing(dataset, readers.ALL)
    if not counted.any():
        st.info("Every image of this dataset is excluded, so there is nothing to check.")
        return
    found = readers.counted(dataset, readers.ALL, "findings", health.findings)
    st.markdown(f"**{health.headline(rows, counted, found)}**")
    _summary(found)
    chosen = _choice(found)
    _one_check(workspace, dataset, chosen)


def _summary(found: list[Finding]) -> None:
    table = health.summary_table(found)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        key="health",
        column_config={
            "Images": st.column_config.NumberColumn(format="localized", width="small"),
            "Share (%)": st.column_config.NumberColumn(format="%.2f", width="small"),
            "What it means for training": st.column_config.TextColumn(width="large"),
        },
    )


def _choice(found: list[Finding]) -> Finding:
    by_name = {one.check.name: one for one in found if one.applies}
    names = list(by_name)
    link: dict[str, Any] = keys.linked(keys.CHECK, keys.one_of(names), names[0])
    change = link["on_change"]

    def changed() -> None:
        change()
        keys.write(keys.THRESHOLD, None)  # another check, another threshold

    def words(name: str) -> str:
        return f"{by_name[name].check.title} ({by_name[name].num_flagged:,})"

    name = st.selectbox("Look at", names, format_func=words, key=link["key"], on_change=changed, width=320)
    return by_name[name]


def _one_check(workspace: Workspace, dataset: Dataset, finding: Finding) -> None:
    check = finding.check
    rows, counted = readers.dataset_rows(dataset), readers.passing(dataset, readers.ALL)
    left, right = st.columns([2, 1], gap="large")
    with right:
        threshold = st.slider(
            "Flag images that score below",
            0.0,
            1.0,
            step=0.01,
            help=f"By default {check.threshold:g}. Moving it changes what is shown here, not the dataset.",
            **keys.linked(keys.THRESHOLD, _score, check.threshold),
        )
        places = health.flagged_below(rows, counted, check, threshold)
        share = len(places) / max(int(counted.sum()), 1)
        st.metric("Flagged now", count(len(places), "image"), percent(share), delta_color="off", delta_arrow="off")
        st.caption(check.meaning)
    with left:
        table = readers.counted(
            dataset,
            readers.ALL,
            ("scores", check.name),
            lambda every, mask: health.score_histogram(every, mask, check),
        )
        alt = f"Histogram of the scores of the check {check.title}; {count(len(places), 'image')} below {threshold:g}"
        show_figure(score_bars(table, check.title, threshold), table, f"scores-{check.name}", alt)
    if not len(places):
        st.success("No image scores below this threshold.", icon=":material/check_circle:")
        return
    draw_images = _groups if health.group_column(check) else _singly
    edit_bar(workspace, dataset, draw_images(dataset, check, places), readers.labels(dataset), key="health")


def _singly(dataset: Dataset, check: Check, places: np.ndarray) -> list[str]:
    """The images, worst first; gives those selected."""
    page = keys.page_of(len(places), IMAGES_A_PAGE, keys.PAGE)
    shown = places[(page - 1) * IMAGES_A_PAGE : page * IMAGES_A_PAGE]
    return _gallery(dataset, shown, f"Images flagged as {check.title}", f"health-{check.name}")


def _groups(dataset: Dataset, check: Check, places: np.ndarray) -> list[str]:
    """Copies, one gallery a group, largest group first; gives the images selected in all of them."""
    rows, counted = readers.dataset_rows(dataset), readers.passing(dataset, readers.ALL)
    groups = health.groups_of(rows, counted, check, places)
    page = keys.page_of(len(groups), GROUPS_A_PAGE, keys.PAGE)
    selected: list[str] = []
    first = (page - 1) * GROUPS_A_PAGE
    for number, members in enumerate(groups[first : first + GROUPS_A_PAGE], first + 1):
        labels = ", ".join(sorted(rows["label"].iloc[members].astype(str).unique())[:5])
        more = f" The first {SHOWN_OF_A_GROUP} are shown." if len(members) > SHOWN_OF_A_GROUP else ""
        st.markdown(f"**Group {number} of {len(groups):,}:** {count(len(members), 'image')}, {escape(labels)}.{more}")
        key = f"health-{check.name}-{number}"
        selected += _gallery(dataset, members[:SHOWN_OF_A_GROUP], f"Group {number} of copies", key)
    return list(dict.fromkeys(selected))


def _gallery(dataset: Dataset, places: np.ndarray, label: str, key: str) -> list[str]:
    # An edit makes a new version of the dataset and ends the selection.
    versioned = f"{key}-{dataset.id}-{dataset.fingerprint}"
    with st.container(key=key):
        picked, selected = gallery(tiles_at(dataset, places, with_path=True), label, versioned, selectable=True)
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
    return selected


def _score(text: str) -> float | None:
    try:
        score = float(text)
    except ValueError:
        return None
    return score if 0 <= score <= 1 else None
