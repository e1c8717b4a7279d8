"""The list of runs on the Runs page: what there is in a line, the table, and what is done with what is ticked."""

from __future__ import annotations

from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.jobs import ENDED
from core.runs.about import read_about, write_about
from core.runs.choosing import RunFilters, in_order
from core.runs.listing import run_table
from core.runs.store import Run, open_run
from core.runs.trouble import Trouble, trouble
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.runs.actions import act, draw_actions, draw_trash, table_key
from pages._components.runs.columns import NEWEST, columns
from pages._components.runs.filters import shown_columns
from pages._components.runs.table import Heading, Line, Picked, runs_table
from pages._components.states import look

ROWS = 50  # a page
_FIXED = {"name": "Run", "state": "State"}
_TROUBLED = ("failed", "lost")


def draw_list(workspace: Workspace, filters: RunFilters, dataset_names: dict[str, str]) -> None:
    """The list with its actions; redrawn on its own."""
    table = run_table(workspace)
    by, falling = _sorting()
    passing = in_order(table[filters.mask(table)], by, falling)
    above, below = st.container(), st.container()
    with below:
        page = keys.page_of(len(passing), ROWS, keys.PAGE)
    with above:
        bar = st.container()
        picked = _table(workspace, passing.iloc[(page - 1) * ROWS : page * ROWS], by, falling, dataset_names)
    selected = [run_id for run_id in picked.selected if run_id in set(table["id"])]
    act(workspace, selected)
    _follow(workspace, picked, by, falling)
    with bar:
        draw_trash(workspace)
        if filters.any:
            st.markdown(f"**{count(len(passing))} of {count(len(table), 'run')}** pass the filters.")
        draw_actions(passing, selected)
        if passing.empty:
            st.info("No run passes these filters.", icon=":material/filter_alt_off:")


def _sorting() -> tuple[str, bool]:
    by = st.query_params.get(keys.SORT, NEWEST)
    falling = st.query_params.get(keys.FALLING, "1" if by == NEWEST else "0") == "1"
    return (by, falling) if by in columns() or by in _FIXED else (NEWEST, True)


def _table(workspace: Workspace, rows: pd.DataFrame, by: str, falling: bool, dataset_names: dict[str, str]) -> Picked:
    shown = [columns()[name] for name in shown_columns()]
    direction = "descending" if falling else "ascending"
    headings = [
        *(Heading(name, title, False, direction if name == by else "") for name, title in _FIXED.items()),
        *(Heading(one.name, one.title, one.is_figure, direction if one.name == by else "") for one in shown),
    ]
    lines = []
    for row in rows.to_dict("records"):
        row["dataset_name"] = dataset_names.get(row["dataset"], "")
        colour, sign = look(row["state"])
        found = _trouble(workspace, row["id"], row["state"], row["message"]) if row["state"] in _TROUBLED else None
        held = row["state"] == "queued" and row["held"]
        lines.append(
            Line(
                id=row["id"],
                title=row["name"] or row["id"],
                note=_note(row),
                state="held" if held else row["state"],
                colour=colour,
                sign="pause" if held else sign,
                favourite=row["favourite"],
                cells=tuple(one.show(row[one.name], row) for one in shown),
                href=f"?{urlencode({keys.RUN: row['id']})}",
                why=_why(found) if found else "",
                advice=f"{found.message} {found.what_to_do}" if found else "",
                log="\n".join(found.last_lines) if found else "",
            )
        )
    return runs_table(headings, lines, "Runs", table_key())


def _note(row: dict[str, object]) -> str:
    """Below the name: what it does now, or what somebody noted."""
    if row["state"] not in ENDED or row["damage"]:
        return str(row["message"])
    return str(row["note"] or (row["message"] if row["state"] == "stopped" else ""))


def _why(found: Trouble) -> str:
    """`Out of memory (OutOfMemoryError)`."""
    return f"{found.title} ({found.error})" if found.error else found.title


@st.cache_resource(max_entries=1000, ttl=30, show_spinner=False)
def _trouble(_workspace: Workspace, run_id: str, state: str, message: str) -> Trouble | None:
    run = Run(run_id, _workspace.run(run_id))
    return trouble(run, run.status)


def _follow(workspace: Workspace, picked: Picked, by: str, falling: bool) -> None:
    """What was clicked in the table itself."""
    if picked.what == "open":
        keys.remember(keys.RUN, picked.which)
        st.rerun()
    if picked.what == "star":
        run = open_run(workspace, picked.which)
        write_about(run, favourite=not read_about(run).favourite)
        st.rerun()
    if picked.what == "sort":
        largest_first = picked.which in columns() and columns()[picked.which].is_figure
        turned = not falling if picked.which == by else largest_first
        keys.write(keys.SORT, picked.which)
        keys.write(keys.FALLING, "1" if turned else "0")
        keys.write(keys.PAGE, None)
        st.rerun()
