"""More like this: the images nearest to one by what a network sees in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from core.data.datasets import Dataset
from core.data.neighbours import nearest
from core.wording import significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.dataset_tiles import tiles_at
from pages._components.gallery import gallery

NUM_SHOWN = 12
MAP_VIEW = "Map"


def similar(workspace: Workspace, dataset: Dataset, content_hash: str) -> None:
    """Draw the strip, or say where the analysis it needs is started."""
    st.subheader("More like this")
    found = nearest(workspace, dataset.id, content_hash, NUM_SHOWN)
    if found is None:
        st.markdown("Known once the images are analysed.")
        st.page_link(
            keys.EXPLORE,
            label="Analyse them on the map",
            icon=":material/hub:",
            query_params={keys.DATASET: dataset.id, keys.VIEW: MAP_VIEW},
        )
        return
    rows = readers.dataset_rows(dataset)
    distances = {one.content_hash: one.distance for one in found}
    places = np.flatnonzero(rows["content_hash"].isin(list(distances)).to_numpy())
    hashes = rows["content_hash"].iloc[places].to_numpy()
    _, first = np.unique(hashes.astype(str), return_index=True)  # copies of one content are one image here
    order = sorted(first, key=lambda at: distances[hashes[at]])
    tiles = [
        replace(tile, note=f"distance {significant(distances[hashes[at]])}")
        for tile, at in zip(tiles_at(dataset, places[order]), order, strict=True)
    ]
    if not tiles:
        st.markdown("There is no other image to compare it with.")
        return
    picked = gallery(tiles, "Images most like this one", key="similar")
    st.caption("Distance is 0 for images that look the same to the network, and about 1 for unrelated ones.")
    if picked:
        keys.open_image(dataset.id, picked, keys.EXPLORE)
