"""The list of runs on the Runs page: what there is in a line, the table, and what is done with what is ticked."""

from __future__ import annotations

from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.runs.about import read_about, write_about
from core.runs.choosing import RunFilters, in_order
from core.runs.listing import run_table
from core.runs.store import open_run
from core.wording import bytes_size, count
from core.workspace import Workspace
from pages._components import keys
from pages._components.runs.actions import act, draw_actions, draw_trash, table_key
from pages._components.runs.columns import NEWEST, columns
from pages._components.runs.filters import shown_columns
from pages._components.runs.table import Heading, Line, Picked, runs_table
from pages._components.states import look

ROWS = 50  # a page
_FIXED = {"name": "Run", "state": "State"}


def summary_line(table: pd.DataFrame) -> str:
    """`12 runs: 1 running, 11 finished. They take 1.2 GB.`"""
    if table.empty:
        return "No run yet."
    states = ", ".join(f"{count(int(number))} {state}" for state, number in table["state"].value_counts().items())
    together = "It takes" if len(table) == 1 else "They take"
    return f"{count(len(table), 'run')}: {states}. {together} {bytes_size(float(table['bytes'].sum()))}."


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
        picked = _table(passing.iloc[(page - 1) * ROWS : page * ROWS], by, falling, dataset_names)
    selected = [run_id for run_id in picked.selected if run_id in set(table["id"])]
    act(workspace, selected)
    _follow(workspace, picked, by, falling)
    with bar:
        draw_trash(workspace)
        words = f"{count(len(passing))} of {summary_line(table)}" if filters.any else summary_line(table)
        st.markdown(words)
        draw_actions(passing, selected)
        if passing.empty:
            st.info("No run passes these filters.", icon=":material/filter_alt_off:")


def _sorting() -> tuple[str, bool]:
    by = st.query_params.get(keys.SORT, NEWEST)
    falling = st.query_params.get(keys.FALLING, "1" if by == NEWEST else "0") == "1"
    return (by, falling) if by in columns() or by in _FIXED else (NEWEST, True)


def _table(rows: pd.DataFrame, by: str, falling: bool, dataset_names: dict[str, str]) -> Picked:
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
            )
        )
    return runs_table(headings, lines, "Runs", table_key())


def _note(row: dict[str, object]) -> str:
    """Below the name: what went wrong, or what it does now, or what somebody noted."""
    if row["state"] != "finished":
        return str(row["message"] or row["note"] or "")
    return str(row["note"] or "")


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
