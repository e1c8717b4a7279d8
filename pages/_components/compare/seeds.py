"""How much does luck move the result? The same settings over several seeds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import charts_compare
from core.runs.listing import run_table
from core.runs.series import MOST_STARTED, Series, measured, members, repeat, still_to_come
from core.runs.spread import spread
from core.runs.store import open_run
from core.wording import count
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.compare.group import FOLLOW_S, about_time, choose_group, member_table, progress_line
from pages._components.figures import show_figure
from pages._components.guard import fragment, guarded
from pages._components.text import escape

_START = "start-seeds"


def draw(workspace: Workspace, table: pd.DataFrame, run_id: str) -> None:
    """The sidebar's button that starts them, and what came of those started before."""
    with st.sidebar:
        series = choose_group(table, "seeds", run_id)
        _form(workspace, table, run_id, series)
    if series is None:
        st.markdown(
            "How much of a score is luck? Initial weights, order and augmentation are drawn anew with each seed. "
            "This run has not been repeated yet: start it with more seeds in the sidebar."
        )
        return
    at_work = still_to_come(members(table, series)) > 0
    fragment(_results, run_every=FOLLOW_S if at_work else None)(workspace, series, at_work)


def _form(workspace: Workspace, table: pd.DataFrame, run_id: str, series: Series | None) -> None:
    number = int(
        st.number_input(
            "More seeds",
            1,
            MOST_STARTED,
            4,
            help="Runs with the settings and images of this one and another seed each. They wait for their turn.",
        )
    )
    st.caption(about_time(float(table.loc[table["id"] == run_id, "seconds"].iloc[0]), number))
    if asked(_START):
        with guarded():
            begun = repeat(workspace, open_run(workspace, run_id), number, series)
            keys.write(keys.SERIES, begun.id)
            st.rerun()
    st.button(
        f"Repeat with {count(number)} more {'seed' if number == 1 else 'seeds'}",
        type="primary",
        width="stretch",
        icon=":material/casino:",
        on_click=ask,
        args=(_START,),
    )


def _results(workspace: Workspace, series: Series, was_at_work: bool) -> None:
    rows = members(run_table(workspace), series)
    if was_at_work and not still_to_come(rows):
        st.rerun()
    done = measured(rows)
    found = spread(done["test_accuracy"].tolist())
    if found is None:
        st.markdown(f"{count(len(done), 'run')} of {count(len(rows))} has been tested; two make a spread.")
    else:
        st.markdown(escape(found.sentence()))
    progress_line(rows)
    if len(done):
        figure = charts_compare.seeds_chart(done, found and found.mean, found and found.std)
        columns = ["id", "seed", "test_accuracy", "test_accuracy_low", "test_accuracy_high", "val_accuracy"]
        show_figure(figure, done[columns], "seeds", "Test accuracy of each seed, with mean and standard deviation")
    member_table(rows, pd.DataFrame({"Seed": rows["seed"]}))
