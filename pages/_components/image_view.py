"""One image's own view: as large as stored, with all that is known of it."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from core.data import thumbnails
from core.data.datasets import Dataset
from core.data.summary import find_image
from core.wording import bytes_size, count
from pages._components import keys
from pages._components.gallery import PIXEL_ART_BELOW
from pages._components.text import escape

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


def image_view(dataset: Dataset, rows: pd.DataFrame, content_hash: str) -> None:
    """Draw the image, its facts and the way back; raises `InputError` where the dataset has no such image."""
    if st.button("Back", icon=":material/arrow_back:"):
        keys.leave_image(dataset.id, content_hash)
    row = find_image(rows, content_hash)
    st.markdown(f"{escape(row['path'])} in {escape(dataset.name)}, of class **{escape(row['label'])}**.")
    pixel_art = max(row["width"], row["height"]) < PIXEL_ART_BELOW
    _component(
        data={
            "src": thumbnails.url(dataset.id, content_hash, thumbnails.LARGE),
            "alt": f"{row['label']}: {row['path']}",
            "pixel_art": bool(pixel_art),
            "facts": _facts(dataset, row),
        },
        key="large-image",
    )
    if max(row["width"], row["height"]) > thumbnails.LARGE:
        st.caption(f"Shown smaller than it is: its longer side is {thumbnails.LARGE} pixels here.")
    same = rows[(rows["content_hash"] == content_hash) & (rows["path"] != row["path"])]
    if len(same):
        st.markdown(f"The same bytes are also in {count(len(same), 'other file')}:")
        st.dataframe(same[["path", "label"]].head(20), hide_index=True)


def _facts(dataset: Dataset, row: pd.Series) -> list[tuple[str, str]]:
    known = {
        "Class": row["label"],
        "File": row["path"],
        "Folder": str(dataset.root),
        "Split given by its folder": row["split"],
        "Size": f"{row['width']:,.0f} x {row['height']:,.0f} pixels",
        "Kind": f"{row['format']}, {row['mode']}",
        "On disk": bytes_size(row["num_bytes"]),
        "Changed": time.strftime("%Y-%m-%d %H:%M", time.localtime(row["mtime_ns"] / 1e9)),
        "Hash of its bytes": row["content_hash"],
    }
    return [(name, str(value)) for name, value in known.items() if not pd.isna(value)]
