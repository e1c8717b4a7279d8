"""One sweep as it happens: how far it is, what it has found, and the buttons that stop it or let it go on."""

from __future__ import annotations

import streamlit as st

from core.charts_sweeps import metric_text, metric_title
from core.jobs import Status
from core.sweeps.launch import go_on, stop_sweep
from core.sweeps.results import TrialRow, num_done
from core.sweeps.spec import SweepSpec, make_budget
from core.sweeps.store import Sweep, set_budget
from core.sweeps.verdict import Verdict, verdict
from core.wording import count, percent
from core.workspace import Workspace
from pages._components import keys
from pages._components.asking import ask, asked
from pages._components.guard import fragment, guarded
from pages._components.states import state_text
from pages._components.sweeps.figures import draw_figures
from pages._components.text import escape

_GO_ON, _MORE = "go-on-sweep", "sweep-more"
_LIVE_S = 2  # figures change with a trial, not with a step


def sweep_panel(workspace: Workspace, sweep: Sweep) -> None:
    """Draw the sweep; while somebody is at work on it the panel redraws itself and nothing else on the page."""
    at_work = bool(sweep.num_at_work)
    fragment(_panel, run_every=_LIVE_S if at_work else None)(workspace, sweep, at_work)


def _panel(workspace: Workspace, sweep: Sweep, at_work: bool) -> None:
    if asked(_GO_ON):
        with guarded():
            spec, budget = sweep.spec, sweep.budget
            trials = int(st.session_state.get(_MORE, budget.trials))
            set_budget(sweep, make_budget(spec, **{**budget.model_dump(), "trials": trials}))
            go_on(sweep)
            st.rerun()
    status = sweep.status
    if at_work == status.ended:
        st.rerun()  # to begin or end the redrawing
    spec, rows = sweep.spec, sweep.trials()
    known = tuple((row.number, row.state, row.score) for row in rows if row.over)
    found = _verdict(str(sweep.folder), known, workspace, spec, rows)
    _heading(sweep, status)
    if found is not None:
        _scores(spec.metric, found)
        st.markdown(escape(found.sentence))
        _ways_on(found)
    _progress(sweep, status, num_done(rows))
    if rows:
        draw_figures(sweep, spec, rows)
    elif at_work:
        st.caption("The first trial is about to start.")


@st.cache_data(max_entries=16, show_spinner=False)
def _verdict(
    folder: str, known: tuple[object, ...], _workspace: Workspace, _spec: SweepSpec, _rows: list[TrialRow]
) -> Verdict | None:
    return verdict(_workspace, _spec, _rows)


def _heading(sweep: Sweep, status: Status) -> None:
    spec = sweep.spec
    searched = ", ".join(spec.space)
    st.markdown(
        f"{state_text(status.state)} **{escape(spec.dataset)}**, searching {escape(searched)} "
        f"by {escape(spec.sampler)}, pruning by {escape(spec.pruner)}."
    )
    if status.state in ("failed", "lost"):
        st.error(escape(status.message), icon=":material/error:")
    elif status.message:
        st.caption(escape(status.message))


def _scores(metric: str, found: Verdict) -> None:
    with st.container(horizontal=True, key="sweep-scores"):
        st.metric(f"Best {metric_title(metric).lower()}", metric_text(metric, found.best.score), width="content")
        if found.start is not None:
            st.metric("Of the start", metric_text(metric, found.start.score), width="content")
        st.metric("Test accuracy of the best", percent(found.best_test), width="content")


def _ways_on(found: Verdict) -> None:
    run = found.best.run
    with st.container(horizontal=True):
        label = "Plan a full run with the best settings"
        st.page_link(keys.TRAIN, label=label, icon=":material/model_training:", query_params={keys.CLONE: run})
        st.page_link(keys.RUNS, label="Its run", icon=":material/list:", query_params={keys.RUN: run})
        if found.start is not None and found.start.run != run:
            both = {keys.COMPARED: f"{found.start.run},{run}"}
            label = "Compare it with the start"
            st.page_link(keys.COMPARE, label=label, icon=":material/compare_arrows:", query_params=both)


def _progress(sweep: Sweep, status: Status, done: int) -> None:
    budget = sweep.budget
    if budget.trials:
        st.progress(min(1.0, done / budget.trials), text=f"{count(done)} of {count(budget.trials, 'trial')}")
    if not status.ended:
        st.button(
            "Stop",
            key="stop-sweep",
            icon=":material/stop_circle:",
            disabled=status.state == "stopping",
            help="Stops the runs under way too; both go on from where they were.",
            on_click=stop_sweep,
            args=(sweep,),
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        spent = budget.trials and done >= budget.trials
        first = budget.trials + 10 if spent else budget.trials
        st.number_input("Trials in all", 0, 100_000, first, key=_MORE, width=160, help="0: as many as the time allows.")
        st.button(
            "Go on",
            key="sweep-go-on",
            icon=":material/resume:",
            help="Begins where it was stopped; no finished trial is lost.",
            on_click=ask,
            args=(_GO_ON,),
        )
