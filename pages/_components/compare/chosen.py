"""Which runs are compared: chosen in the sidebar, kept in the address, called A, B, C on the page."""

from __future__ import annotations

import string
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.data.datasets import list_datasets
from core.runs.store import Run, open_run
from core.workspace import Workspace
from pages._components import keys

MOST = 10
_WIDGET, _REMEMBERED = "compared-select", "compared-choice"


@dataclass(frozen=True)
class Chosen:
    """One of the runs compared.

    Attributes:
        letter: what it is called in sentences, A for the first chosen.
        title: its name, or when it was started, on what, and its network.
        row: of `core.runs.listing.run_table`.
    """

    letter: str
    title: str
    run: Run
    row: pd.Series

    @property
    def name(self) -> str:
        """What it is called in figures and tables: `A: resnet18`."""
        return f"{self.letter}: {self.row['name'] or self.row['architecture'] or self.run.id}"


def choose_runs(workspace: Workspace, table: pd.DataFrame) -> list[Chosen]:
    """Draw the select box; the address wins, then the session's last choice, then the two newest that compare.

    Args:
        table: of `run_table`, at least one row.
    """
    known = set(table["id"])
    asked = st.query_params.get(keys.COMPARED)
    if asked is not None:
        wanted = list(dict.fromkeys(one for one in asked.split(",") if one))
        if lost := [one for one in wanted if one not in known]:
            st.warning(f"Not here any more, or never: {len(lost)} of the runs in this address.", icon=":material/help:")
    else:
        wanted = st.session_state.get(_REMEMBERED) or _first_choice(table)
    wanted = [one for one in wanted if one in known][:MOST]
    st.session_state[_WIDGET] = wanted
    listed = table[~table["archived"] | table["id"].isin(wanted)]

    def picked() -> None:
        now = st.session_state[_WIDGET]
        keys.write(keys.COMPARED, ",".join(now) or None)
        for parameter in (keys.AGAINST, keys.OF, keys.PAGE, keys.CLASS):
            keys.write(parameter, None)

    titles = run_titles(table)
    letters = dict(zip(wanted, string.ascii_uppercase, strict=False))
    st.multiselect(
        "Runs",
        listed["id"].tolist(),
        format_func=lambda one: f"{letters[one]}: {titles(one)}" if one in letters else titles(one),
        key=_WIDGET,
        on_change=picked,
        max_selections=MOST,
        placeholder="Choose two to ten runs",
        help="The first one is A, which the others are compared with.",
    )
    st.session_state[_REMEMBERED] = wanted
    rows = table.set_index("id", drop=False)
    return [Chosen(letter, titles(one), open_run(workspace, one), rows.loc[one]) for one, letter in letters.items()]


def run_titles(table: pd.DataFrame) -> Callable[[str], str]:
    """From a run's id to its name, or when it was started, on what, and its network; never two the same."""
    datasets = {dataset.id: dataset.name for dataset in list_datasets(Workspace.default())}
    short = {}
    columns = ["id", "name", "created", "dataset", "architecture"]
    for run_id, name, created, dataset, network in table[columns].itertuples(index=False):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(created)) if created else "unknown time"
        what = f"{datasets.get(dataset, dataset)}, {network}" if network else "damaged settings"
        short[run_id] = name or f"{when}, {what}"
    times = Counter(short.values())
    return {one: title if times[title] == 1 else f"{title} ({one})" for one, title in short.items()}.__getitem__


def _first_choice(table: pd.DataFrame) -> list[str]:
    """The two newest tested runs of the same dataset, else the newest runs."""
    tested = table[table["test_accuracy"].notna() & ~table["archived"]]
    if len(tested):
        same = tested[tested["dataset"] == tested["dataset"].iloc[0]]
        if len(same) > 1:
            return same["id"].iloc[1::-1].tolist()  # the older one first: what B changed is the question
    return table.loc[~table["archived"], "id"].head(2).tolist()
