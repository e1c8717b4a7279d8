"""What the gate said of one export: its badge, its figures beside PyTorch's, and the images that differ."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.data import thumbnails
from core.exports import shown
from core.exports.exported import Exported
from core.runs.store import Run
from core.wording import bytes_size, count, percent, significant
from pages._components import keys, readers
from pages._components.gallery import PIXEL_ART_BELOW, Tile, gallery
from pages._components.text import escape

IMAGES_A_PAGE = 48


def draw_report(run: Run, exported: Exported) -> None:
    """The last export of a format, ready or not."""
    parity = exported.parity
    with st.container(horizontal=True, vertical_alignment="center", key="verdict"):
        if exported.ready:
            st.badge("ready", icon=":material/verified:", color="green")
            st.download_button(
                f"Download ZIP, {bytes_size(exported.zip.stat().st_size)}",
                exported.zip.read_bytes,
                f"{run.id}-{exported.format.key}.zip",
                "application/zip",
                on_click="ignore",
                type="primary",
                icon=":material/download:",
            )
        else:
            refused = bool(parity) and not parity["ready"]
            st.badge("refused" if refused else "out of date", icon=":material/block:", color="red")
    if not exported.ready:
        st.error(escape(exported.problem), icon=":material/error:")
    if not parity:
        return
    st.markdown(escape(parity["sentence"]) if exported.ready else "")
    _figures(exported)
    for note in parity["notes"]:
        st.caption(escape(note))
    if parity["differing"]:
        _differing(run, exported)
    with st.expander("Accuracy of each class, before and after"):
        st.dataframe(
            shown.class_table(parity),
            hide_index=True,
            key="export-classes",
            column_config={
                "label": st.column_config.TextColumn("Class"),
                "images": st.column_config.NumberColumn("Test images", format="localized"),
                "before": st.column_config.NumberColumn("PyTorch", format="%.1f %%"),
                "after": st.column_config.NumberColumn("Export", format="%.1f %%"),
                "change": st.column_config.NumberColumn("Change", format="%+.1f points"),
            },
        )
    st.caption(f"The folder: {escape(str(exported.folder))}. Checked with {escape(', '.join(parity['versions']))}.")


def _figures(exported: Exported) -> None:
    parity = exported.parity
    single, batch = parity["speed"]["single"], parity["speed"]["batch"]
    ours, ours_batch = parity["pytorch_speed"]["single"], parity["pytorch_speed"]["batch"]
    with st.container(horizontal=True, key="export-figures"):
        for label, value, beside in (
            ("Same class as PyTorch", percent(parity["agreement"]), f"of {count(parity['num_images'], 'test image')}"),
            (
                "Largest difference",
                significant(parity["max_probability_gap"]),
                f"on average {significant(parity['mean_probability_gap'])}",
            ),
            ("Accuracy", percent(parity["accuracy_after"]), f"{percent(parity['accuracy_before'])} before"),
            ("Model", bytes_size(parity["size_bytes"]), f"{bytes_size(parity['pytorch_size_bytes'])} before"),
            (
                "One image",
                f"{significant(single['latency_ms_p50'])} ms",
                f"PyTorch {significant(ours['latency_ms_p50'])} ms",
            ),
            (
                f"{batch['batch_size']} together",
                f"{significant(batch['images_per_s'])} images/s",
                f"PyTorch {significant(ours_batch['images_per_s'])} images/s",
            ),
        ):
            st.metric(label, value, beside, delta_color="off", delta_arrow="off", width="content")
    st.caption(
        f"Speeds are of the network alone on {count(parity['cores'], 'core')} of this machine, without reading images; "
        f"of single images 95 % are answered within {significant(single['latency_ms_p95'])} ms "
        f"(PyTorch {significant(ours['latency_ms_p95'])} ms).{_busy(parity)}"
    )


def _busy(parity: dict[str, Any]) -> str:
    """A warning where others were at work while the speeds were measured."""
    if not shown.was_busy(parity):
        return ""
    return f" Other programs were busy meanwhile (load {significant(parity['load'])}): alone both are faster."


def _differing(run: Run, exported: Exported) -> None:
    """The images behind the verdict; a click leads to the image's own view."""
    images = pd.DataFrame(exported.parity["differing"])
    st.subheader(f"{count(len(images), 'image')} answered differently", anchor=False)
    if exported.parity["num_images"] == exported.parity["same_label"]:
        st.caption("All get the same class; these have probabilities that differ by more than is allowed.")
    page = keys.page_of(len(images), IMAGES_A_PAGE, keys.PAGE)
    part = images.iloc[(page - 1) * IMAGES_A_PAGE : page * IMAGES_A_PAGE]
    known = readers.run_rows(run).set_index("path").loc[part["path"], ["content_hash", "width", "height"]]
    dataset_id = run.config.data.dataset
    tiles = [
        Tile(
            id=row.path,
            src=thumbnails.url(dataset_id, image.content_hash),
            alt=f"true {row.label}, PyTorch {row.before}, export {row.after or 'no answer'}: {row.path}",
            caption=f"PyTorch {row.before} {percent(row.before_confidence)}",
            note=f"export {row.after} {percent(row.after_confidence)}" if row.after else "export: no answer",
            wrong=row.after != row.label,
            pixel_art=max(image.width, image.height) < PIXEL_ART_BELOW,
        )
        for row, image in zip(part.itertuples(), known.itertuples(), strict=True)
    ]
    if picked := gallery(tiles, "Images answered differently", key="export-tiles"):
        keys.open_image(dataset_id, picked, keys.EXPORT)
