"""Evaluate's view of where the model looks: maps over images, each with what the checks say of it."""

from __future__ import annotations

import base64
from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation.explained import (
    PICTURES,
    SALIENCY,
    SIZES,
    WHICH,
    WINDOWS,
    Explained,
    Explanation,
    read_explanation,
)
from core.evaluation.saliency_checks import MAX_LIKENESS, MIN_GAIN, MIN_MARKED, MIN_NEEDED
from core.files import csv_bytes
from core.runs.store import Run
from core.wording import count, percent, significant
from pages._components import keys
from pages._components.evaluate.view import Report
from pages._components.gallery import Tile, gallery
from pages._components.guard import fragment
from pages._components.side_job import side_job
from pages._components.text import escape

_A_PAGE = 12
_FAILED = "map not believed"


def draw(run: Run, report: Report) -> None:
    """The last maps and their verdict, and the way to make some."""
    found = read_explanation(run)
    if found is None:
        st.info(
            "Maps show which places of an image speak for the answer. Maps can be wrong, so each is checked, and one "
            "that fails is shown in grey with the reason.",
            icon=":material/center_focus_strong:",
        )
    side_job(run, SALIENCY, "Make maps" if found is None else "Make others", _choose)
    if found is not None:
        _show(run, found)


def _choose() -> dict[str, Any]:
    which = st.selectbox("Test images", WHICH, key="saliency-which", width=240)
    images = st.segmented_control(
        "How many",
        SIZES,
        default=SIZES[0],
        required=True,
        key="saliency-images",
        help="Each is classified about a hundred times, with parts of it hidden.",
    )
    return {"which": which, "images": images}


@fragment
def _show(run: Run, found: Explanation) -> None:
    if found.fault:
        st.warning(f"None of these maps can be believed. {escape(found.fault)}", icon=":material/block:")
    else:
        st.markdown(
            f"{count(found.passed())} of {count(len(found.images), 'map')} can be believed: hiding and showing what "
            "they mark moves the answer more than the same map moved elsewhere. Yellow speaks most for the answer; "
            "grey maps failed."
        )
    page = keys.page_of(len(found.images), _A_PAGE, keys.PAGE)
    shown = found.images[(page - 1) * _A_PAGE : page * _A_PAGE]
    picked = gallery([_tile(run, found, one) for one in shown], "Maps over images", key="saliency-tiles")
    if picked:
        keys.open_image(run.config.data.dataset, picked, keys.EVALUATE)
    failed = [one for one in shown if one.fault]
    if failed and not found.fault:
        with st.expander(f"Why {count(len(failed), 'map')} of these cannot be believed"):
            for one in failed:
                st.markdown(f"- {escape(one.path)}: {escape(one.fault)}")
    _how(found)


def _tile(run: Run, found: Explanation, one: Explained) -> Tile:
    failed = bool(found.fault or one.fault)
    try:
        data = base64.b64encode((run.folder / PICTURES / one.picture).read_bytes()).decode()
    except OSError:  # a new set is being put in its place
        data = ""
    return Tile(
        id=one.path,
        src=f"data:image/jpeg;base64,{data}",
        alt=f"where the model looks, true {one.label}, predicted {one.predicted}: {one.path}",
        caption=f"predicted {one.predicted}, {percent(one.confidence)}",
        note=f"true {one.label}",
        wrong=one.label != one.predicted,
        mark=_FAILED if failed else "",
    )


def _how(found: Explanation) -> None:
    with st.expander("How they are made and checked"):
        by = (
            f"Made by {escape(found.way)}: a place counts by how far the answer falls where it is hidden, times how "
            "far it comes where it is shown alone. Networks with attention mix all places, so their layers do not tell."
            if found.way.startswith(WINDOWS)
            else f"Made from {escape(found.way)} of the network, by gradient times activation (HiResCAM, for the "
            "classic last layer the same as Grad-CAM); these did best on a few validation images."
        )
        st.markdown(f"{by} The map is of the class that was predicted.")
        st.markdown(
            f"Hiding and showing: the area between the two curves is {significant(100 * found.gain)} points of "
            f"probability larger than with the map moved elsewhere (at least {significant(100 * found.low)} with 95 % "
            f"certainty, on average over the images); a single map needs {significant(100 * MIN_GAIN)}. "
            f"Measure: with what a map marks hidden the answer must go at least {percent(MIN_MARKED)} of its way, and "
            f"must need at least {percent(MIN_NEEDED)} of the map for the whole of it. Shuffled "
            f"weights: rank correlation {significant(found.likeness)}; from {significant(MAX_LIKENESS)} on maps would "
            "show the image, not what was learned."
        )
    table = pd.DataFrame([{"path": one.path, "gain": one.scores.gain, "fault": one.fault} for one in found.images])
    st.download_button(
        "Scores as CSV",
        lambda: csv_bytes(table),
        "saliency.csv",
        "text/csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
