"""From a run to the form: the same settings again, changed where the run says that something else would do."""

from __future__ import annotations

import streamlit as st

from core.jobs import Status
from core.runs.store import Run
from core.wording import significant
from pages._components import keys
from pages._components.config_form import fill_from
from pages._components.text import escape

SUGGESTED = "suggested"  # in the status of a run that failed: {"group.field": value} that would do


def suggest_again(run: Run, status: Status) -> None:
    """Offer the run's settings to the form where the run ended with a suggestion."""
    suggested = status.extra.get(SUGGESTED)
    if not suggested:
        return
    words = ", ".join(f"{path} = {_plain(value)}" for path, value in suggested.items())
    if st.button(
        escape(f"Plan it again with {words}"),
        key=f"again-{run.id}",
        type="primary",
        icon=":material/replay:",
        on_click=_fill,
        args=(run, suggested),
    ):
        st.rerun()  # the form and the plan are outside of this fragment


def _fill(run: Run, suggested: dict[str, object]) -> None:
    config = run.config
    fill_from(config, suggested)
    keys.remember(keys.DATASET, config.data.dataset)
    keys.write(keys.VIEW, "Plan")


def _plain(value: object) -> str:
    return significant(value) if isinstance(value, float) else str(value)
