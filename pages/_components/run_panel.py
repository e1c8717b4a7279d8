"""One run as it happens: state, progress, curves, log, and the buttons that stop or resume it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core import charts
from core.jobs import ENDED, Status
from core.runs.again import halved_batch, would_do
from core.runs.launch import FINISHING, GRACE_S, resume_run, retry_run, stop_now, stop_run
from core.runs.store import Run
from core.runs.trouble import trouble
from core.wording import count, duration, significant
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.asking import ask, asked
from pages._components.figures import show_figure
from pages._components.guard import fragment, guarded
from pages._components.labels import started, trained_on
from pages._components.states import state_text
from pages._components.text import escape
from pages._components.train.another import suggest_again
from pages._components.train.run_details import run_details
from pages._components.waiting_panel import waiting_panel

_METRICS = {"loss": "Loss (nats)", "accuracy": "Accuracy (%)"}
_SERIES = {"train": "training", "val": "validation"}
_COLOURS = [charts.PALETTE[0], charts.PALETTE[1]]
_ANSWERS = {
    "queued": "It waits for its turn.",
    "running": "It is at work.",
    "stopping": "It is stopping; the best weights so far are kept.",
    "stopped": "It was stopped; the best weights so far are kept, and it can be resumed.",
    "finished": "It finished and was evaluated on images it had never seen.",
    "failed": "It failed; other runs are unaffected.",
    "stalled": "Its process is there but says nothing. It may go on; Stop now ends it.",
    "lost": "It is not heard of any more. What it last wrote is below, and it can be resumed.",
}
_RESUME, _RETRY = "resume-run", "retry-run"
_LIVE_POINTS = 2000  # a line; more than a screen has pixels


def run_panel(run: Run) -> None:
    """Draw the run; while it is at work the panel redraws itself every second and nothing else on the page."""
    state = run.status.state
    at_work = state not in ENDED
    # A lost run is looked at again now and then: after a machine's sleep its process may turn out to be there.
    fragment(_live if at_work else _ended, run_every=1 if at_work else 5 if state == "lost" else None)(run)


def _live(run: Run) -> None:
    status = run.status
    if status.ended:
        st.rerun()
    _heading(run, status)
    history = run.metrics()
    if status.state == "queued":
        waiting_panel(run)
    else:
        _progress(status, history)
        _stopping(run, status)
    if len(history) > 1:  # one epoch is a point, and a line chart draws no points
        for column, (metric, title) in zip(st.columns(2), _METRICS.items(), strict=True):
            column.line_chart(
                _curves(history, metric), x="epoch", x_label="Epoch", y_label=title, color=_COLOURS, height=300
            )
    run_details(run)
    _log(run, expanded=not history)


def _stopping(run: Run, status: Status) -> None:
    finishing = status.phase in FINISHING
    with st.container(horizontal=True):
        st.button(
            "Stop",
            icon=":material/stop_circle:",
            disabled=finishing or status.state in ("stopping", "stalled"),
            help="Training is over; the model is being checked, which ends by itself."
            if finishing
            else "Ends after its step; the best weights so far are kept and evaluated.",
            on_click=stop_run,
            args=(run,),
        )
        st.button(
            "Stop now",
            icon=":material/cancel:",
            help=f"The same, but what is left of it after {GRACE_S:.0f} seconds is killed. "
            "Resume goes on from its last checkpoint.",
            on_click=stop_now,
            args=(run,),
        )


def _ended(run: Run) -> None:
    status = run.status
    if not status.ended:
        st.rerun()
    if asked(_RESUME):
        with guarded():
            resume_run(run)
            st.rerun()
    if asked(_RETRY):
        with guarded():
            keys.remember(keys.RUN, retry_run(Workspace.default(), run).id)
            st.rerun()
    _heading(run, status)
    if found := trouble(run, status):
        error = f" ({escape(found.error)})" if found.error else ""
        st.error(
            f"**{escape(found.title)}**{error}. {escape(found.message)}\n\n{escape(found.what_to_do)}",
            icon=":material/error:",
        )
    suggest_again(run, status)
    history = run.metrics()
    with st.container(horizontal=True):
        if status.state != "finished" and not would_do(run.config, status):  # it would only fail again
            st.button(
                "Resume",
                icon=":material/resume:",
                help="Goes on from the last checkpoint.",
                on_click=ask,
                args=(_RESUME,),
            )
        if status.state != "finished":
            st.button(
                "Retry",
                icon=":material/replay:",
                help="A new run with the same settings and the same division of the images, from the start.",
                on_click=ask,
                args=(_RETRY,),
            )
        if readers.was_evaluated(run):
            st.page_link(
                keys.EVALUATE, label="Evaluate it", icon=":material/fact_check:", query_params={keys.RUN: run.id}
            )
        if run.has_bundle:
            st.page_link(
                keys.CLASSIFY, label="Classify with it", icon=":material/image_search:", query_params={keys.RUN: run.id}
            )
    if readers.was_evaluated(run):
        _diagnosis(run)
    if history:
        table = pd.DataFrame(history)
        for column, metric in zip(st.columns(2), _METRICS, strict=True):
            with column:
                figure = charts.training_curves_chart(history, metric)
                show_figure(figure, table, f"{run.id}-{metric}", f"Training and validation {metric} by epoch")
    run_details(run)
    _log(run, expanded=status.state in ("failed", "lost"))


def _diagnosis(run: Run) -> None:
    """What the evaluation makes of the training, in a line."""
    found = readers.diagnosis(run)
    if found and found["remarks"]:
        titles = "; ".join(remark["title"] for remark in found["remarks"])
        st.warning(escape(titles), icon=":material/stethoscope:")
        query = {keys.RUN: run.id, keys.VIEW: "Diagnosis"}
        st.page_link(keys.EVALUATE, label="Why, and what to try", icon=":material/stethoscope:", query_params=query)
    elif found:
        st.markdown(escape(found["sentence"]))


def _heading(run: Run, status: Status) -> None:
    st.markdown(
        f"{state_text(status.state)} **{escape(trained_on(run))}**, {escape(run.config.model.architecture)}, "
        f"started {started(run)}. {_ANSWERS[status.state]}"
    )
    if halved := halved_batch(run.config, status):
        st.warning(escape(halved), icon=":material/memory:")
    if status.message and status.state not in ("failed", "lost", "queued"):  # said elsewhere, at greater length
        st.caption(escape(status.message))


def _progress(status: Status, history: list[dict[str, Any]]) -> None:
    extra = status.extra
    figures = {
        "Epoch": _of(extra.get("epoch"), extra.get("num_epochs")),
        "Step": _of(extra.get("step"), extra.get("num_steps")),
        "Images a second": significant(status.rate or None),
        "Time left": duration(status.eta_s),
    }
    with st.container(horizontal=True, key="live-figures"):
        for label, value in figures.items():
            st.metric(label, value, width="content")
    share = min(1.0, status.done / status.total) if status.total else 0.0
    done = f": {count(status.done)} of {count(status.total)} {status.unit}" if status.total else ""
    st.progress(share, text=escape((status.phase or status.state).capitalize() + done))


def _of(number: int | None, total: int | None) -> str:
    return f"{count(number)} of {count(total)}" if number is not None and total else "\N{EN DASH}"


def _curves(history: list[dict[str, Any]], metric: str) -> pd.DataFrame:
    """The last `_LIVE_POINTS` epochs as Streamlit's line chart wants them: epoch, training, validation."""
    factor = 100.0 if metric == "accuracy" else 1.0
    rows = pd.DataFrame(history[-_LIVE_POINTS:])
    columns = {title: pd.to_numeric(rows[f"{split}_{metric}"]) * factor for split, title in _SERIES.items()}
    return pd.DataFrame({"epoch": rows["epoch"], **columns})


def _log(run: Run, expanded: bool) -> None:
    text = run.log_tail()
    with st.expander("Log", expanded=expanded, icon=":material/notes:", key=f"log-{run.id}"):
        st.code(text or "Nothing written yet.", language=None, wrap_lines=True, height=260)
        st.caption(escape(run.folder))
