"""What a run wrote down: its log with search, and its files to take along."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from core.runs.files import read_file, run_files, search_log
from core.runs.store import Run
from core.wording import bytes_size, count
from pages._components.guard import fragment
from pages._components.text import escape


def draw_log(run: Run) -> None:
    """The log, searched; it follows a run at work."""
    wanted = st.text_input(
        "Search the log", key=f"log-find-{run.id}", icon=":material/search:", help="Shows the lines with this text."
    )
    fragment(_log, run_every=None if run.status.ended else 2)(run, wanted.strip())


def _log(run: Run, wanted: str) -> None:
    found = search_log(run, wanted)
    if not found.num_lines:
        st.markdown("Nothing written yet.")
        return
    what = f" with {escape(wanted)}" if wanted else ""
    shown = f", the last {count(len(found.lines))} of them" if len(found.lines) < found.num_found else ""
    st.caption(f"{count(found.num_found, 'line')}{what} of {count(found.num_lines)}{shown}.")
    text = "\n".join(f"{number:>6}  {line}" for number, line in found.lines)
    st.code(text or "No line has it.", language=None, wrap_lines=True, height=480)


def draw_files(run: Run) -> None:
    """Every file with its size, and one at a time to download."""
    files = run_files(run)
    st.caption(f"{escape(run.folder)}: {bytes_size(sum(file.num_bytes for file in files))}")
    table = pd.DataFrame(
        {
            "File": [file.path for file in files],
            "What it is": [file.what for file in files],
            "Size": [bytes_size(file.num_bytes) for file in files],
            "Changed": [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(file.changed)) for file in files],
        }
    )
    st.dataframe(table, hide_index=True, height="content" if len(files) <= 25 else 700)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("File", [file.path for file in files], key=f"file-{run.id}", width=320)
        if chosen is not None:
            st.download_button(
                "Download",
                lambda: read_file(run, chosen),
                f"{run.id}-{chosen.rpartition('/')[2]}",
                key=f"file-download-{run.id}",
                icon=":material/download:",
                on_click="ignore",
            )
