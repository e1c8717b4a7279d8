"""The machine on the Runs page: how busy it is, which run is on which GPU, and what its disk could be given back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.runs import disk
from core.runs.machine import Gpu, machine
from core.wording import UNKNOWN, bytes_size, count, percent
from core.workspace import Workspace
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

_FREE = "disk-free"
_COUNTED = "disk-counted"  # session: what was counted last


def draw_machine(workspace: Workspace, runs: pd.DataFrame) -> None:
    """Draw what is busy; redrawn on its own.

    Args:
        runs: the table of runs, with the process of each that is at work in `pid`.
    """
    now = machine(workspace)
    with st.container(horizontal=True, key="machine-figures"):
        st.metric(f"Processor, {count(now.num_cores, 'core')}", percent(now.cpu_use), width="content")
        _of("Memory in use", now.memory_used, now.memory_total)
        _of("Disk free", now.disk_free, now.disk_total)
    for gpu in now.gpus:
        _gpu(gpu, runs)
    if not now.gpus:
        st.caption("No GPU that the NVIDIA driver knows: runs train on the CPU.")


def draw_disk(workspace: Workspace) -> None:
    """What could be given back: counted when asked, as a cache may hold a million files."""
    if asked(_FREE):
        with guarded():
            freed = disk.free(workspace, [st.session_state.pop(_FREE)])
            st.toast(f"{bytes_size(freed)} given back.", icon=":material/delete_sweep:")
        st.session_state.pop(_COUNTED, None)
        ask(_COUNTED)
    if asked(_COUNTED):
        st.session_state[_COUNTED] = disk.holdings(workspace)
    counted: list[disk.Holding] | None = st.session_state.get(_COUNTED)
    if counted is None:
        st.button(
            "Count what could be freed", key="disk-count", icon=":material/database:", on_click=ask, args=(_COUNTED,)
        )
        return
    if not counted:
        st.markdown("Nothing in the workspace could be given back.")
    for one in counted:
        with st.container(horizontal=True, vertical_alignment="center", key=f"disk-{one.key}"):
            more = "" if one.is_all else "more than "
            words = f"**{escape(one.title)}**: {more}{bytes_size(one.num_bytes)}. {escape(one.what)}"
            st.markdown(words, width="stretch")
            st.button(
                "Free it",
                key=f"disk-free-{one.key}",
                icon=":material/delete_sweep:",
                disabled=bool(one.in_use),
                help=escape(one.in_use) or None,
                on_click=_ask_free,
                args=(one.key,),
            )


def _ask_free(key: str) -> None:
    st.session_state[_FREE] = key
    ask(_FREE)


def _of(label: str, some: int | None, whole: int | None) -> None:
    st.metric(label, UNKNOWN if some is None else f"{bytes_size(some)} of {bytes_size(whole)}", width="content")


def _gpu(gpu: Gpu, runs: pd.DataFrame) -> None:
    with st.container(horizontal=True, key=f"machine-gpu-{gpu.index}"):
        st.metric(f"GPU {gpu.index}: {escape(gpu.name)}", percent(gpu.use), width="content")
        _of("Its memory in use", gpu.memory_used, gpu.memory_total)
        warmth = UNKNOWN if gpu.temperature is None else f"{count(gpu.temperature)} °C"
        st.metric("Its temperature", warmth, width="content")
    on_it = runs.loc[runs["pid"].isin(gpu.pids), "id"].tolist()
    others = len(gpu.pids) - len(on_it)
    told = [*on_it, *([f"{count(others)} processes that are no run's"] if others > 0 else [])]
    st.caption(escape(f"On it: {', '.join(told)}.") if told else "Nothing computes on it.")
