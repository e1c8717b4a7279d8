"""What the model makes of images unlike its own: a part of Evaluate's view on trust."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.data.datasets import list_datasets
from core.evaluation import strangers
from core.jobs import Status
from core.runs.store import Run
from core.wording import count, percent, percent_interval
from core.workspace import Workspace
from pages._components.evaluate.view import Report
from pages._components.guard import fragment, guarded
from pages._components.text import escape

_HOW = {
    "distance": "its features lie further from those of the validation images than {} of these do from one another",
    "energy": "the energy of its logits is higher than that of {} of the validation images",
}


def draw(run: Run, report: Report) -> None:
    """How strange images are told, what that costs, and what came of showing other datasets."""
    st.subheader("Does it notice images unlike its own?")
    found = report["unknown"]
    if found["measure"] is None:
        st.markdown("Too few validation images to say what is strange: 19 at least are needed.")
        return
    st.markdown(
        f"An image is called strange where {_HOW[found['measure']].format(percent(1 - found['flags']))}. "
        + (_price(found["test"]) if found["test"]["images"] else "")
    )
    _tried(run)


def _price(test: dict[str, float]) -> str:
    return (
        f"The price: {percent_interval(test['share'], test['low'], test['high'])} of its own "
        f"{count(int(test['images']), 'test image')} are called strange too."
    )


@fragment
def _tried(run: Run) -> None:
    names = {one.id: one.name for one in list_datasets(Workspace.default()) if one.id != run.config.data.dataset}
    running = {}
    rows = []
    for dataset_id in strangers.asked(run):
        status = strangers.progress(run, dataset_id)
        if status is not None and not status.ended:
            running[dataset_id] = status
        elif status is not None and status.state in ("failed", "lost"):
            st.error(f"{escape(names.get(dataset_id, dataset_id))}: {escape(status.message)}", icon=":material/error:")
        if (shown := strangers.shown(run, dataset_id)) is not None:
            rows.append(shown)
    if rows:
        _table(rows)
    if running:
        fragment(_live, run_every=1)(run, list(running))
    left = [one for one in names if one not in running]
    if not left:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="show-strangers"):
        chosen = st.selectbox(
            "Show it images of", left, format_func=names.__getitem__, key="stranger", width=320,
            help=f"Up to {strangers.MOST_SHOWN} of them, spread over the dataset. Its classes do not matter.",
        )  # fmt: skip
        if st.button("Show", icon=":material/play_arrow:", key="start-strangers"):
            with guarded():
                strangers.ask(run, chosen)
                st.rerun()


def _table(rows: list[strangers.Shown]) -> None:
    table = pd.DataFrame(
        [
            {
                "dataset": row.name,
                "images": row.images,
                "strange": None if row.strange is None else percent_interval(*_interval(row.strange)),
                "refused": percent_interval(*_interval(row.refused)),
                "separation": None if row.separation is None else 100 * row.separation,
            }
            for row in rows
        ]
    )
    column = st.column_config
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "dataset": column.TextColumn("Images of"),
            "images": column.NumberColumn("Shown", format="localized"),
            "strange": column.TextColumn("Called strange", help="With its 95 % interval."),
            "refused": column.TextColumn("Refused", help="Strange, or below the threshold stored with the model."),
            "separation": column.NumberColumn(
                "Told apart",
                format="%.1f %%",
                help="The chance that one of these scores stranger than one of its own test images; 50 % is chance.",
            ),
        },
    )


def _interval(found: strangers.Flagged) -> tuple[float | None, float | None, float | None]:
    return found.share, found.low, found.high


def _live(run: Run, dataset_ids: list[str]) -> None:
    for dataset_id in dataset_ids:
        status = strangers.progress(run, dataset_id)
        if status is None or status.ended:
            st.rerun()
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.progress(min(1.0, status.done / status.total) if status.total else 0.0, text=escape(_sentence(status)))
        right.button(
            "Cancel",
            icon=":material/stop_circle:",
            key=f"cancel-stranger-{dataset_id}",
            disabled=status.state == "stopping",
            on_click=strangers.cancel,
            args=(run, dataset_id),
        )


def _sentence(status: Status) -> str:
    words = status.message or "Starting."
    return f"{words} {count(status.done)} of {count(status.total, 'image')}" if status.total else words
