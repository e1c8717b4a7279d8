"""Has the models answer what waits in a batch: at once where that is a moment's work, else as a job one can cancel."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.inference import batches
from core.inference.answered import answer_table, side_by_side
from core.inference.batches import AT_ONCE, Batch
from core.jobs import Status
from core.runs.store import Run
from core.wording import bytes_size, count, duration
from pages._components import readers
from pages._components.classify.batch import begin, begun
from pages._components.guard import fragment
from pages._components.side_job import bar_with_cancel
from pages._components.text import escape

_ENDED = {"stopped": "Cancelled.", "failed": "It failed.", "lost": "It ended without a word."}


def have_answered(batch: Batch, runs: Sequence[Run]) -> pd.DataFrame:
    """The batch's table, `core.inference.answered.side_by_side` of one run or two; draws what is at work, if anything.

    What was brought since is classified before; of many images the table has those that are answered so far.
    """
    asked = begun()
    status = batches.progress(batch)
    if status is not None and not status.ended:
        if asked:
            begin()  # what came meanwhile is not known to this job: it is for the next
        fragment(_at_work, run_every=1)(batch)
        return _table(batch, runs)
    table = _table(batch, runs)
    waiting = [batches.unanswered(batch, run.id, run.bundle) for run in runs] if _any_waits(table) else []
    num_waiting = sum(map(len, waiting))
    if not batch.waiting() and not num_waiting:
        return table
    if not batch.waiting() and num_waiting <= AT_ONCE:
        with st.spinner(f"Classifying {count(num_waiting, 'image')}"):
            for run, items in zip(runs, waiting, strict=True):
                if items:
                    batches.answer(batch, run.id, readers.classifier(run), items, lambda _: None)
        return _table(batch, runs)
    if asked or status is None or status.state == "finished":
        batches.ask(batch, {run.id: run.bundle for run in runs})
        fragment(_at_work, run_every=1)(batch)
    else:
        _ended(status, num_waiting)
    return table


def _at_work(batch: Batch) -> None:
    status = batches.progress(batch)
    if status is None or status.ended:
        st.rerun()
    bar_with_cancel(status, _sentence(status), "classify-cancel", batches.cancel, batch)


def _sentence(status: Status) -> str:
    if status.state == "stopping":
        return "Stopping."
    words = status.message or "Starting."
    if not status.total:
        return words if not status.done else f"{words} {count(status.done)} so far."
    if status.unit == "bytes":
        return f"{words} {bytes_size(status.done)} of {bytes_size(status.total)}"
    left = f", {count(round(status.rate))} a second, {duration(status.eta_s)} left" if status.eta_s is not None else ""
    return f"{words} {count(status.done)} of {count(status.total)}{left}"


def _ended(status: Status, num_waiting: int) -> None:
    what = _ENDED.get(status.state, "It ended.")
    rest = f"{count(num_waiting, 'answer')} left to give." if num_waiting else "Images are left to unpack."
    words = escape(f"{what} {rest}" if status.state == "stopped" else f"{what} {status.message} {rest}")
    (st.info if status.state == "stopped" else st.error)(words, icon=":material/stop_circle:")
    st.button("Go on", key="classify-go-on", icon=":material/play_arrow:", on_click=begin)


def _any_waits(table: pd.DataFrame) -> bool:
    return any((table[column] == "waiting").any() for column in ("kind", "kind 2") if column in table)


def _table(batch: Batch, runs: Sequence[Run]) -> pd.DataFrame:
    versions = tuple((run.id, batches.version(run.bundle)) for run in runs)
    return _read(str(batch.folder), versions, batches.stamp(batch, [run.id for run in runs]), batch, list(runs))


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(
    folder: str,
    versions: tuple[tuple[str, str], ...],
    changed: tuple[tuple[int, int], ...],
    _batch: Batch,
    _runs: list[Run],
) -> pd.DataFrame:
    items = _batch.items()
    tables = [answer_table(items, batches.read_answers(_batch, run.id, run.bundle)) for run in _runs]
    return tables[0] if len(tables) == 1 else side_by_side(tables[0], tables[1])
