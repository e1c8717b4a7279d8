"""The formats of Export: all of them side by side, and one with what can be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from core.exports import shown
from core.exports.exported import export_job
from core.exports.format import Format
from core.exports.shown import Listed
from core.runs.store import Run
from core.wording import UNKNOWN, count
from pages._components.export.report import draw_report
from pages._components.side_job import side_job
from pages._components.text import escape


def draw_table(rows: Sequence[Listed]) -> None:
    """One row a format, PyTorch's own figures above them; and why some cannot be made here."""
    number = st.column_config.NumberColumn
    st.dataframe(
        shown.table(rows),
        hide_index=True,
        key="exports",
        height="content",
        placeholder=UNKNOWN,
        column_config={
            "name": st.column_config.TextColumn("Format", pinned=True),
            "state": st.column_config.TextColumn("State", help="Ready: it passed the gate and nothing changed since."),
            "agreement": number("Same class", format="%.2f %%", help="Test images that get the class PyTorch gives."),
            "gap": number("Gap", format="%.1e", help="The largest difference of any class's probability."),
            "accuracy": number("Accuracy", format="%.1f %%"),
            "change": number("Change", format="%+.2f", help="Of accuracy, in points."),
            "size_mb": number("MB", format="%.2f", help="The model alone."),
            "latency_ms": number("One image (ms)", format="%.2f", help="Half of the calls take less. Network alone."),
            "images_per_s": number("Images/s", format="%.0f", help="In batches of 32. The network alone."),
            "p95_ms": number("95 % within (ms)", format="%.2f"),
        },
    )
    if impossible := [one for one in rows if one.why_not]:
        with st.expander(f"Why {count(len(impossible), 'format')} cannot be made on this machine"):
            for one in impossible:
                st.markdown(f"**{escape(one.format.name)}** {escape(one.why_not)}")


def draw_one(run: Run, one: Listed) -> None:
    """What the format is for, the way to make it, and what the gate said of the last one."""
    st.subheader(escape(one.format.name), anchor=False)
    st.markdown(escape(one.format.what))
    if one.why_not:
        st.warning(f"Not possible on this machine: {escape(one.why_not)}", icon=":material/block:")
    else:
        made = one.exported is not None
        side_job(run, export_job(one.format.key), "Export it again" if made else "Export it", lambda: _options(one))
    if one.exported is None:
        if not one.why_not:
            st.caption(
                "Its own predict.py then answers every test image, as a process that sees nothing of Darkroom, and is "
                "compared with PyTorch image by image."
            )
    else:
        draw_report(run, one.exported)
    with st.expander("By command line"):
        st.code(f"python -m core export {run.id} --format {one.format.key} --json", language="bash")


def _options(one: Listed) -> dict[str, Any]:
    return {"options": _chosen(one.format)}


def _chosen(chosen: Format) -> dict[str, Any]:
    return {
        choice.name: st.selectbox(
            choice.title, choice.values, key=f"export-{chosen.key}-{choice.name}", help=choice.help
        )
        for choice in chosen.choices
    }
