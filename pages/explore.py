"""Explore: what is in this dataset?"""

from __future__ import annotations

import math

import streamlit as st

from core.data import summary
from core.data.datasets import Dataset, list_datasets, open_dataset
from core.wording import count, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.explore.registry import VIEWS, view_of
from pages._components.image_view import image_view
from pages._components.labels import dataset_labels, dataset_sentence
from pages._components.text import escape


def _answer(dataset: Dataset) -> str:
    counts = readers.class_counts(dataset)
    ratio = summary.imbalance_ratio(counts)
    if ratio == 1:
        balance = "every class has the same number of images"
    elif math.isfinite(ratio):
        least = counts.iloc[-1]
        balance = (
            f"the largest class has {significant(ratio)} times as many images as the smallest, "
            f"{least['label']} ({count(least['images'])})"
        )
    else:
        balance = f"{counts.iloc[-1]['label']} has no image that can be used"
    return f"{dataset_sentence(dataset)}; {balance}."


workspace = Workspace.default()
datasets = list_datasets(workspace)
image = st.query_params.get(keys.IMAGE)
st.title("What is in this dataset?")
if not datasets:
    st.info("This page shows a dataset's images, classes, sizes and unreadable files. There is no dataset yet.")
    st.page_link(keys.OVERVIEW, label="Add a dataset on Overview", icon=":material/create_new_folder:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Dataset", [one.id for one in datasets], keys.DATASET, dataset_labels(datasets))
    st.page_link(keys.TRAIN, label="Train on it", icon=":material/model_training:", query_params={keys.DATASET: chosen})
    st.page_link(keys.OVERVIEW, label="Add another dataset", icon=":material/create_new_folder:")
dataset = open_dataset(workspace, chosen)
if image:
    image_view(workspace, dataset, image)
    st.stop()
st.markdown(escape(_answer(dataset)))
names = list(VIEWS)
view = st.segmented_control("Show", names, required=True, **keys.linked(keys.VIEW, view_of, names[0]))
VIEWS[view](workspace, dataset)
