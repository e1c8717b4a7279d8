"""From a run to the form: the same settings again, changed where the run says that something else would do."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import TrainConfig
from core.jobs import Status
from core.runs.again import would_do
from core.runs.repeat import nearest_preset
from core.runs.store import Run, open_run
from core.wording import significant
from core.workspace import Workspace
from pages._components import keys
from pages._components.config_form import PRESET, fill_from
from pages._components.guard import guarded
from pages._components.text import escape

_CLONED = "cloned"  # session: the run whose settings were put into the form last because the address said so


def offer_clone() -> None:
    """Where a link to clone a run is drawn: following it fills the form, also if that was done before."""
    st.session_state.pop(_CLONED, None)


def begin_as_asked(workspace: Workspace) -> None:
    """Where the address names a run to clone, put its settings into the form, once; before the form is drawn.

    The address stays as it is: any change of it would be one more page for the browser's back button.
    """
    run_id = st.query_params.get(keys.CLONE)
    if run_id is None or st.session_state.get(_CLONED) == run_id:
        return
    st.session_state[_CLONED] = run_id
    with guarded():
        config = open_run(workspace, run_id).config
        st.session_state[PRESET], _ = nearest_preset(config)
        fill_from(config, {})
        keys.prefer(keys.DATASET, config.data.dataset)


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
