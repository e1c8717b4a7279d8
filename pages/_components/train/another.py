"""From a run to the form: the same settings again, changed where the run says that something else would do."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import TrainConfig
from core.jobs import Status
from core.runs.again import would_do
from core.runs.store import Run
from core.wording import significant
from pages._components import keys
from pages._components.config_form import fill_from
from pages._components.text import escape


def suggest_again(run: Run, status: Status) -> None:
    """Offer the run's settings to the form, with what would do, where the run failed for a setting."""
    config = run.config
    changed = would_do(config, status)
    if not changed:
        return
    words = ", ".join(f"{path} = {significant(value)}" for path, value in changed.items())
    if st.button(
        escape(f"Plan it again with {words}"),
        key=f"again-{run.id}",
        type="primary",
        icon=":material/replay:",
        on_click=_fill,
        args=(config, changed),
    ):
        st.rerun()  # the form and the plan are outside of this fragment


def _fill(config: TrainConfig, changed: dict[str, Any]) -> None:
    fill_from(config, changed)
    keys.remember(keys.DATASET, config.data.dataset)
    keys.write(keys.VIEW, keys.PLANNING)
