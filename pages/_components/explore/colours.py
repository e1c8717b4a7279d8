"""What each class looks like on average, and the statistics of the colour channels that training works with."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from core.data import mean_images, summary
from core.data.datasets import Dataset
from core.data.filters import Filters
from core.wording import count
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.gallery import Tile, gallery

CLASSES_A_PAGE = 24


def draw(workspace: Workspace, dataset: Dataset, filters: Filters) -> None:
    """Mean image of each class, then mean and deviation of each channel."""
    _mean_images(workspace, dataset, filters)
    _channels(dataset, filters)


def _mean_images(workspace: Workspace, dataset: Dataset, filters: Filters) -> None:
    st.subheader("What does each class look like on average?")
    st.caption(
        f"Each is the mean of up to {mean_images.SAMPLE} images of the class, drawn at random (always the same), each "
        "squeezed to a square. A clear picture means that its images look alike; a background that differs from class "
        "to class can be learned in place of the object."
    )
    counts = readers.class_counts(dataset, filters)
    counts = counts[counts["images"] > 0]
    page = keys.page_of(len(counts), CLASSES_A_PAGE, keys.CLASSES_PAGE)
    shown = counts.iloc[(page - 1) * CLASSES_A_PAGE : page * CLASSES_A_PAGE]
    made = readers.counted(
        dataset,
        filters,
        ("mean images", page),
        lambda rows, mask: [
            mean_images.prepare(workspace, dataset.id, summary.sample_of_class(rows, mask, label, mean_images.SAMPLE))
            for label in shown["label"]
        ],
    )
    tiles = [
        Tile(
            id=row.label,
            src=mean_images.url(key),
            alt=f"Mean of {row.label}",
            caption=row.label,
            note=f"{count(min(row.images, mean_images.SAMPLE))} of {count(row.images, 'image')}",
        )
        for row, key in zip(shown.itertuples(), made, strict=True)
    ]
    picked = gallery(tiles, "Mean image of each class", key="mean-images")
    if picked:
        keys.show_images(lambda now: replace(now, classes=(picked,)))
        st.rerun()


def _channels(dataset: Dataset, filters: Filters) -> None:
    st.subheader("Which colours does a network see in training?")
    training = readers.training_part(dataset)
    which = "all images shown" if training is None else f"the training split {training[1]}"
    table = readers.counted(
        dataset,
        filters,
        "channels",
        lambda rows, mask: summary.channel_statistics(rows, mask if training is None else mask & training[0]),
    )
    if table.empty:
        st.caption("The colours of these images were not measured. Index the dataset again to have that done.")
        return
    filtered = ", as far as the filters let them through" if filters.any else ""
    st.markdown(f"Mean and standard deviation of each channel over {which}{filtered}.")
    st.dataframe(
        table,
        hide_index=True,
        width="content",
        column_config={
            "channel": "Channel",
            "mean": st.column_config.NumberColumn("Mean (0 to 1)", format="%.4f"),
            "std": st.column_config.NumberColumn("Standard deviation (0 to 1)", format="%.4f"),
        },
    )
    figures = {name: ", ".join(f"{value:.4f}" for value in table[name]) for name in ("mean", "std")}
    st.code(f"mean = [{figures['mean']}]\nstd = [{figures['std']}]", language="python")
    st.caption(
        "Every image counts alike, whatever its size. Networks with pretrained weights are given those of their "
        "weights instead."
    )
