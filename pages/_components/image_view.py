"""One image's own view: as large as stored, with all that is known of it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import streamlit as st

from core.data import thumbnails
from core.data.checks import CHECKS
from core.data.datasets import Dataset
from core.data.edits import history, sentence
from core.data.filters import MEASURES, value_in_words
from core.data.summary import find_image
from core.wording import bytes_size, count, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.dataset_tiles import sorting_of_address, tiles_at
from pages._components.edit_bar import edit_bar
from pages._components.gallery import PIXEL_ART_BELOW, gallery
from pages._components.similar import similar
from pages._components.text import escape

MOST_ALIKE = 24  # copies or near copies shown of one image

_CSS = """
:host { display: block; }
.view { display: flex; flex-wrap: wrap; gap: 1.25rem; color: var(--st-text-color); font-family: var(--st-font); }
.frame { flex: 3 1 20rem; box-sizing: border-box; align-self: flex-start;
  display: flex; align-items: center; justify-content: center; background: #8a8f96; padding: 0.5rem;
  border-radius: var(--st-base-radius); min-height: 8rem; }
img { display: block; max-width: 100%; max-height: 70vh; object-fit: contain; }
img.pixels { image-rendering: pixelated; width: min(100%, 24rem); height: auto; }
dl { flex: 1 1 15rem; margin: 0; font-size: 0.9rem; }
dt { opacity: 0.8; font-size: 0.8rem; margin-top: 0.6rem; }
dt:first-child { margin-top: 0; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
p { margin: 0; color: #fff; background: #4b5158; padding: 0.3rem 0.6rem; border-radius: 0.25rem; }
"""

_JS = """
export default function ({ data, parentElement }) {
  const frame = document.createElement("div");
  frame.className = "frame";
  const image = document.createElement("img");
  image.alt = data.alt;
  if (data.pixel_art) image.className = "pixels";
  image.onerror = () => {
    const words = document.createElement("p");
    words.textContent = "The image cannot be shown: its file is gone or can no longer be read.";
    frame.replaceChildren(words);
  };
  image.src = data.src;
  frame.append(image);
  const facts = document.createElement("dl");
  for (const [name, value] of data.facts) {
    const term = document.createElement("dt");
    term.textContent = name;
    const description = document.createElement("dd");
    description.textContent = value;
    facts.append(term, description);
  }
  const view = document.createElement("div");
  view.className = "view";
  view.append(frame, facts);
  parentElement.querySelector(".view")?.remove();
  parentElement.append(view);
}
"""

_component = st.components.v2.component("darkroom_image", css=_CSS, js=_JS)


def image_view(workspace: Workspace, dataset: Dataset, image: str) -> None:
    """Draw one image with all that is known of it, what looks like it, its history, and what can be done with it.

    Args:
        image: its path, or the hash of its content.

    Raises:
        InputError: the dataset has no such image.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="image-steps"):
        if st.button("Back", icon=":material/arrow_back:"):
            keys.leave_image(dataset.id, image)
        rows = readers.dataset_rows(dataset)
        row = find_image(rows, image)
        _neighbours_in_order(dataset, image, int(row.name))
    state = " It is **excluded**: used for nothing until it is restored." if row["excluded"] else ""
    relabelled = row["source_label"] is not None and row["source_label"] != row["label"]
    before = f", which the source calls **{escape(row['source_label'])}**" if relabelled else ""
    name = escape(dataset.name)
    st.markdown(f"{escape(row['path'])} in {name}, of class **{escape(row['label'])}**{before}.{state}")
    pixel_art = max(row["width"], row["height"]) < PIXEL_ART_BELOW
    _component(
        data={
            "src": thumbnails.url(dataset.id, row["content_hash"] or "", thumbnails.LARGE),
            "alt": f"{row['label']}: {row['path']}",
            "pixel_art": bool(pixel_art),
            "facts": _facts(dataset, row),
        },
        key="large-image",
    )
    if max(row["width"], row["height"]) > thumbnails.LARGE:
        st.caption(f"Shown smaller than it is: its longer side is {thumbnails.LARGE} pixels here.")
    edit_bar(workspace, dataset, [row["path"]], readers.labels(dataset), key="image")
    _checks(row)
    _alike(dataset, row)
    if row["content_hash"] is not None and row["error"] is None:
        similar(workspace, dataset, row["content_hash"])
    _history(workspace, dataset, row["path"])


def _neighbours_in_order(dataset: Dataset, image: str, place: int) -> None:
    """Steps to the images before and after, as the gallery is filtered and sorted."""
    order = readers.ordered(dataset, keys.filters(), *sorting_of_address(dataset))
    found = np.flatnonzero(order == place)
    if not len(found):
        return
    at = int(found[0])
    paths = readers.dataset_rows(dataset)["path"]
    for words, icon, to in (
        ("Previous", ":material/chevron_left:", at - 1),
        ("Next", ":material/chevron_right:", at + 1),
    ):
        there = 0 <= to < len(order)
        target = paths.iloc[order[to]] if there else ""
        st.button(words, icon=icon, disabled=not there, on_click=keys.turn_to_image, args=(image, target))
    st.markdown(f"{count(at + 1)} of {count(len(order))}", width="content")


def _checks(row: pd.Series) -> None:
    st.subheader("What do the checks say?")
    found = [check for check in CHECKS if row.get(f"is_{check.name}")]
    for check in found:
        score = significant(row[f"{check.name}_score"])
        st.markdown(f":material/flag: **{check.title}** (score {score}). {check.meaning}")
    if row.get("is_label_issue"):
        suggested = row.get("suggested_label")
        words = f" It looks more like **{escape(suggested)}**." if suggested else ""
        st.markdown(
            f":material/flag: **Suspicious label** (score {significant(row.get('label_issue_score'))}). "
            f"Other images suggest that **{escape(row['label'])}** is wrong.{words}"
        )
    if not found and not row.get("is_label_issue"):
        known = any(row.get(f"{check.name}_score") is not None for check in CHECKS)
        st.markdown("None of them flags it." if known else "It was not checked yet: index the dataset again.")
    figures = _figures(row)
    if not figures.empty:
        with st.expander("All measurements and scores", icon=":material/straighten:"):
            st.dataframe(figures, hide_index=True)


def _figures(row: pd.Series) -> pd.DataFrame:
    said = []
    for column, measure in MEASURES.items():
        value = row.get(column)
        if value is None or column in ("width", "height", "num_bytes"):
            continue
        said.append((measure.title, value_in_words(column, float(value)), measure.meaning))
    for channel in ("red", "green", "blue"):
        mean, std = row.get(f"mean_{channel[0]}"), row.get(f"std_{channel[0]}")
        if mean is not None and std is not None:
            figures = f"{significant(mean)}, deviation {significant(std)}"
            said.append((f"Mean of {channel}", figures, "Over all pixels, 0 to 1."))
    return pd.DataFrame(said, columns=["What", "Value", "Meaning"])


def _alike(dataset: Dataset, row: pd.Series) -> None:
    """Copies and near copies of the image, as thumbnails."""
    rows = readers.dataset_rows(dataset)
    place = int(row.name)
    same = (rows["content_hash"] == row["content_hash"]).to_numpy(bool, na_value=False)
    near = (rows["near_group"] == row["near_group"]).to_numpy() if row["near_group"] >= 0 else np.zeros(len(rows), bool)
    groups = (("same", "Files of the same bytes", same), ("near", "Nearly the same picture", near & ~same))
    for key, title, which in groups:
        places = np.flatnonzero(which)
        places = places[places != place]
        if not len(places):
            continue
        st.subheader(f"{title} ({count(len(places))})")
        others = sorted(set(rows["label"].iloc[places]) - {row["label"]})
        if others:
            named = ", ".join(escape(label) for label in others)
            st.markdown(f":material/flag: Not all are of the same class: some are **{named}**.")
        picked = gallery(tiles_at(dataset, places[:MOST_ALIKE], with_path=True), title, key=f"alike-{key}")
        if len(places) > MOST_ALIKE:
            st.caption(f"The first {MOST_ALIKE} of {count(len(places))}.")
        if picked:
            keys.open_image(dataset.id, picked, keys.EXPLORE)


def _history(workspace: Workspace, dataset: Dataset, path: str) -> None:
    st.subheader("What was changed?")
    edits = history(workspace, dataset.id, path)
    if not edits:
        st.markdown("Nothing: it is as the source has it.")
    for edit in reversed(edits):
        undone = " (undone)" if edit.undone else ""
        reason = f" Reason: {escape(edit.reason)}" if edit.reason else ""
        st.markdown(f"{_moment(edit.at)}: {escape(sentence(edit))}{undone}{reason}")


def _facts(dataset: Dataset, row: pd.Series) -> list[tuple[str, str]]:
    known = {
        "Class": row["label"],
        "Class by its source": row["source_label"] if row["source_label"] != row["label"] else None,
        "File": row["path"],
        "Folder": str(dataset.root),
        "Split given by its source": row["split"],
        "Group given by its source": row.get("group"),
        "Size": f"{row['width']:,.0f} x {row['height']:,.0f} pixels",
        "Kind": f"{row['format']}, {row['mode']}" if row["format"] else None,
        "On disk": bytes_size(row["num_bytes"]),
        "Changed": _moment(row["mtime_ns"] / 1e9),
        "Hash of its bytes": row["content_hash"],
        "Cannot be read": row["error"],
    }
    return [(name, str(value)) for name, value in known.items() if value is not None]


def _moment(seconds: float) -> str:
    """In this machine's time: `2025-11-21 22:17`."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
