"""The queue on the Runs page: who is on which device, who waits for what, and the buttons that change the order."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from core.runs import queue
from core.runs.listing import run_table
from core.runs.queue import Waiting
from core.runs.slots import MOST_SLOTS
from core.wording import bytes_size, count
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import guarded
from pages._components.text import escape

MOST_LISTED = 15
_ASKED = "queue-change"  # session: (what, run, place) that was pressed
_SLOTS = "queue-slots"


def draw_queue(workspace: Workspace) -> None:
    """Draw it; while nothing runs and nothing waits it is one line. Redrawn on its own."""
    _act(workspace)
    working, waiting = queue.at_work(workspace), queue.waiting(workspace)
    table = run_table(workspace).set_index("id")
    with st.container(horizontal=True, vertical_alignment="center", key="queue-head"):
        st.markdown(
            f"{summary_line(table)} {_sentence(len({one.run_id for one in working}), waiting)}", width="stretch"
        )
        with st.popover("Slots", icon=":material/tune:"):
            _slots(workspace)
    for holder in working:
        if not holder.run_id:
            continue
        with st.container(border=True, key=f"queue-at-{holder.device.replace(':', '-')}-{holder.slot}"):
            where = f"{_device(holder.device)}, slot {count(holder.slot)}"
            _line(f":material/play_circle: **{escape(where)}**", holder.run_id, table, _share(table, holder.run_id))
    for row in waiting[:MOST_LISTED]:
        with st.container(border=True, key=f"queue-place-{row.place}"):
            _waiting(row, len(waiting), table)
    if len(waiting) > MOST_LISTED:
        st.caption(f"{count(len(waiting) - MOST_LISTED)} more wait after these; they are in the list below.")


def summary_line(table: pd.DataFrame) -> str:
    """`12 runs: 1 running, 11 finished. They take 1.2 GB.`"""
    if table.empty:
        return "No run yet."
    states = ", ".join(f"{count(int(number))} {state}" for state, number in table["state"].value_counts().items())
    together = "It takes" if len(table) == 1 else "They take"
    return f"{count(len(table), 'run')}: {states}. {together} {bytes_size(float(table['bytes'].sum()))}."


def _sentence(num_working: int, waiting: list[Waiting]) -> str:
    if not num_working and not waiting:
        return "Nothing runs and nothing waits."
    held = sum(row.held for row in waiting)
    words = f"{count(num_working, 'run')} at work, {count(len(waiting))} waiting"
    return words + (f", {count(held)} of them held." if held else ".")


def _waiting(row: Waiting, num_waiting: int, table: pd.DataFrame) -> None:
    sign = "pause_circle" if row.held else "schedule"
    words = f"Waits {row.waits_for}." if row.waits_for else "About to begin."
    if row.state not in ("queued", "stopping"):
        words = f"Its process is {row.state}: the others go first. {words}"
    _line(f":material/{sign}: **{count(row.place)}.**", row.run_id, table, escape(words))
    with st.container(horizontal=True, gap="small"):
        name = _name(table, row.run_id)
        _button("Up", "arrow_upward", "move", row, row.place - 1, row.place == 1, f"Lets {name} go one place earlier.")
        _button("Down", "arrow_downward", "move", row, row.place + 1, row.place == num_waiting, "One place later.")
        if row.held:
            _button("Release", "play_arrow", "release", row, help="It takes its turn again.")
        else:
            _button("Hold", "pause", "hold", row, help="Lets the others go first until it is released.")
        _button("Cancel", "close", "cancel", row, help="Takes it out of the queue. It can be resumed later.")


def _button(
    label: str, sign: str, what: str, row: Waiting, to: int = 0, disabled: bool = False, help: str | None = None
) -> None:
    st.button(
        label,
        key=f"queue-{label.lower()}-{row.run_id}",
        icon=f":material/{sign}:",
        disabled=disabled,
        help=None if help is None else escape(help),
        on_click=_ask,
        args=(what, row.run_id, to),
    )


def _line(sign: str, run_id: str, table: pd.DataFrame, words: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(sign, width="content")
        st.button(
            escape(_name(table, run_id)),
            key=f"queue-open-{run_id}-{sign}",
            type="tertiary",
            on_click=keys.remember,
            args=(keys.RUN, run_id),
        )
        st.markdown(words, width="stretch")


def _name(table: pd.DataFrame, run_id: str) -> str:
    return str(table["name"].get(run_id) or run_id)


def _share(table: pd.DataFrame, run_id: str) -> str:
    """`running: training, 40 %`."""
    if run_id not in table.index:
        return ""
    row: Mapping[str, object] = table.loc[run_id].to_dict()
    done = row["done"]
    phase = f": {row['phase']}" if row["phase"] else ""
    share = f", {done:.0%}" if isinstance(done, float) and done == done else ""
    return escape(f"{row['state']}{phase}{share}")


def _device(device: str) -> str:
    return "CPU" if device == "cpu" else f"GPU {device.partition(':')[2]}"


def _slots(workspace: Workspace) -> None:
    st.caption("How many runs each device takes at once. Those at work go on where there are more of them.")
    for device, number in queue.slots(workspace).items():
        key = f"{_SLOTS}-{device}"
        st.session_state[key] = number
        st.number_input(
            _device(device), 0, MOST_SLOTS, step=1, key=key, on_change=_ask, args=("slots", device, 0), help=_HELP
        )


_HELP = "More than one share the device's memory and its time; 0 begins no further run on it."


def _ask(what: str, which: str, to: int) -> None:
    number = st.session_state[f"{_SLOTS}-{which}"] if what == "slots" else to
    st.session_state[_ASKED] = (what, which, number)
    ask(_ASKED)


def _act(workspace: Workspace) -> None:
    if not asked(_ASKED):
        return
    what, which, number = st.session_state.pop(_ASKED)
    with guarded():
        if what == "move":
            queue.move(workspace, which, number)
        elif what == "slots":
            queue.set_slots(workspace, which, number)
        else:
            {"hold": queue.hold, "release": queue.release, "cancel": queue.cancel}[what](workspace, which)
