"""Evaluate's view for handing the model over: its report as one file, and how fast it answers."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
import streamlit as st

from core.handover.engines import SPEED, speeds_of
from core.handover.job import CSV, HTML, JSON, REPORT, is_current, made
from core.inference.speed import BATCH
from core.runs.store import Run
from core.wording import bytes_size, count, significant
from pages._components.evaluate.view import Report
from pages._components.side_job import side_job
from pages._components.text import escape

_FILES = (
    (HTML, "Report (HTML)", "text/html", ":material/description:"),
    (JSON, "Everything (JSON)", "application/json", ":material/data_object:"),
    (CSV, "Figures (CSV)", "text/csv", ":material/table_view:"),
)


def draw(run: Run, report: Report) -> None:
    """The report to make and to download, and the speed of every way to run the model."""
    st.subheader("One file for others")
    st.markdown(
        "All numbers with their intervals, the figures, the mistakes with their images, what the images are and how "
        "they were divided, settings, seeds, versions, hashes, and the command that repeats the run. The HTML needs no "
        "network and prints well."
    )
    found = REPORT.answer(run)
    if found is not None:
        _downloads(run, found)
    side_job(run, REPORT, "Make the report" if found is None else "Make it anew", dict)
    _speed(run)


def _downloads(run: Run, found: dict[str, Any]) -> None:
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found["made"]))
    if is_current(run, found):
        st.caption(f":material/verified: Made {when}; nothing it tells has changed since.")
    else:
        st.warning(f"Made {when}. The evaluation, the model or a test of it has changed since.", icon=":material/sync:")
    with st.container(horizontal=True, key="handover-files"):
        for name, title, kind, icon in _FILES:
            st.download_button(
                f"{title}, {bytes_size(found['bytes'][name])}",
                made(run, name).read_bytes,
                f"{run.id}-{name}",
                kind,
                key=f"download-{name}",
                on_click="ignore",
                icon=icon,
            )
    st.caption("Whoever has the run's folder can have such a file checked, figure by figure:")
    st.code(f"python -m core report {run.id} --check {run.id}-{HTML}", language="bash")


def _speed(run: Run) -> None:
    st.subheader("How fast does it answer?")
    found = SPEED.answer(run)
    if found is None:
        st.markdown(
            f"One image and {BATCH} images at a time, by PyTorch, by ONNX Runtime and by every export that is ready. "
            "Other work on this machine slows it down."
        )
    else:
        st.markdown(escape(found["sentence"]))
        st.dataframe(_table(found), hide_index=True, column_config=_columns())
        for row in found["engines"]:
            if row["problem"]:
                st.caption(f"{escape(row['title'])} could not be timed: {escape(row['problem'])}")
        decoding = found["decode_ms"]
        st.caption(
            f"The network alone, on {count(found['threads'], 'thread')}"
            + (f"; reading and fitting an image takes {significant(decoding)} ms more" if decoding is not None else "")
            + (
                f". Load of the machine just before: {significant(found['load'])}."
                if found["load"] is not None
                else "."
            )
        )
    side_job(run, SPEED, "Measure the speed" if found is None else "Measure it again", dict)


def _table(found: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for row in found["engines"]:
        if row["problem"]:
            continue
        single, batch = speeds_of(row)
        rows.append(
            {
                "title": row["title"],
                "p50": single.latency_ms_p50,
                "p95": single.latency_ms_p95,
                "single": single.images_per_s,
                "batch": batch.images_per_s,
                "size": bytes_size(row["num_bytes"]),
            }
        )
    return pd.DataFrame(rows, columns=["title", "p50", "p95", "single", "batch", "size"])


def _columns() -> dict[str, Any]:
    column = st.column_config
    return {
        "title": column.TextColumn("Run by", pinned=True),
        "p50": column.NumberColumn("One image (ms)", format="%.3g", help="Half of the calls took no longer."),
        "p95": column.NumberColumn("95 % within (ms)", format="%.3g"),
        "single": column.NumberColumn("Images/s, one by one", format="%.3g"),
        "batch": column.NumberColumn(f"Images/s, {BATCH} at once", format="%.3g"),
        "size": column.TextColumn("Model file"),
    }
