"""What the network will see of the user's own images: resized by each policy, and changed by augmentation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.data.resize_loss import ResizeLoss, enlarged_share, examples, resize_losses, shown_resized, shown_whole
from core.preprocess import Interpolation, ResizePolicy
from core.wording import count, percent
from pages._components import readers
from pages._components.guard import guarded
from pages._components.text import escape
from pages._components.train import augmentation
from pages._components.train.planned import Planned

_Shapes = tuple[dict[ResizePolicy, ResizeLoss], pd.DataFrame]


def draw(planned: Planned) -> None:
    """Resizing first, as it comes first on an image's way."""
    st.subheader("How are images made square?")
    _resizing(planned)
    st.subheader("How are they changed at random?")
    augmentation.draw(planned)


def _resizing(planned: Planned) -> None:
    wanted = planned.config.preprocess
    losses, rows = readers.counted(planned.dataset, readers.ALL, "resize examples", _shapes)
    chosen = losses[wanted.resize]
    st.markdown(f"**{escape(chosen.words)}**" + ("" if chosen.is_harmless else " Set it under Preprocessing."))
    small = readers.counted(
        planned.dataset,
        readers.ALL,
        ("smaller than", wanted.image_size),
        lambda all_rows, keep: enlarged_share(*_sides(all_rows, keep), wanted.image_size),
    )
    if small:
        st.caption(
            f"{percent(small)} of the images are smaller than {count(wanted.image_size)} pixels and are enlarged, "
            "which costs time and adds no detail."
        )
    policies = [wanted.resize] if chosen.is_harmless else list(losses)
    titles = ("An image of typical shape", "The one furthest from a square")[: len(policies)]
    for title, row in zip(titles, rows.itertuples(), strict=False):
        st.caption(f"{title}: {escape(row.path)}, {count(row.width)} x {count(row.height)} pixels")
        with guarded(), st.container(horizontal=True, gap="medium"):
            path = planned.dataset.root / row.path
            whole = _whole(str(path), row.content_hash)
            st.image(whole, caption="as it is", alt=f"{row.path} as it is", width="content")
            for policy in policies:
                filtered = "bicubic" if wanted.interpolation == "auto" else wanted.interpolation
                drawn = _resized(str(path), row.content_hash, policy, wanted.image_size, filtered)
                mark = " (chosen)" if policy == wanted.resize and len(policies) > 1 else ""
                st.image(drawn, caption=policy + mark, alt=f"{row.path} under {policy}", width="content")
    if len(policies) > 1:
        with st.expander("What each policy does to these images"):
            st.markdown("\n".join(f"- {escape(loss.words)}" for loss in losses.values()))


def _shapes(rows: pd.DataFrame, keep: np.ndarray) -> _Shapes:
    """Each policy's cost over the images kept, and the two to show."""
    width, height = _sides(rows, keep)
    at = np.flatnonzero(keep)[list(dict.fromkeys(examples(width, height)))]
    return resize_losses(width, height), rows.iloc[at][["path", "content_hash", "width", "height"]]


def _sides(rows: pd.DataFrame, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows["width"].to_numpy()[keep], rows["height"].to_numpy()[keep]


@st.cache_data(max_entries=64, show_spinner=False)
def _whole(path: str, content_hash: str) -> bytes:
    return shown_whole(Path(path))


@st.cache_data(max_entries=256, show_spinner=False)
def _resized(path: str, content_hash: str, policy: ResizePolicy, size: int, interpolation: Interpolation) -> bytes:
    return shown_resized(Path(path), policy, size, interpolation)
