"""Will the run work, and how long will it take? A few real steps tell."""

from __future__ import annotations

import streamlit as st

from core.runs.preflight import PREFLIGHT, Forecast
from core.wording import bytes_size, count, duration, significant
from pages._components.config_form import set_fields
from pages._components.guard import guarded
from pages._components.text import escape
from pages._components.train.planned import Planned
from pages._components.train.trial import Offer, draw_trial

_MB = 1e6
_BOUND = {
    "loader": "Reading and changing images holds the network up",
    "compute": "The network is what takes the time; reading and changing images keeps up with it",
}


def draw(planned: Planned) -> None:
    """The button that tries it, or what was measured."""
    st.caption("A few real steps with these settings and images, without starting the run. Takes up to a minute.")
    with guarded():
        draw_trial(planned, _OFFER)


def _forecast(planned: Planned, forecast: Forecast) -> None:
    for refusal in forecast.refusals:
        st.error(escape(refusal), icon=":material/block:")
    figures = {
        "Total time": duration(forecast.seconds),
        "Images a second": significant(forecast.images_per_s),
        "GPU memory" if forecast.device == "cuda" else "Memory": bytes_size(forecast.peak_memory_mb * _MB),
        "Disk": bytes_size(forecast.disk_mb * _MB),
    }
    with st.container(horizontal=True, key="forecast"):
        for label, value in figures.items():
            st.metric(label, value, width="content")
    st.caption(
        f"Free: {bytes_size(forecast.free_memory_mb * _MB)} of memory, {bytes_size(forecast.free_disk_mb * _MB)} of "
        "disk. "
        f"If every epoch is trained: {', '.join(f'{name} {duration(s)}' for name, s in forecast.phases.items())}. "
        "Early stopping may end it sooner."
    )
    st.markdown(
        f"{_BOUND[forecast.bound]}: {significant(forecast.loader_images_per_s)} images/s could be loaded, "
        f"{significant(forecast.compute_images_per_s)} learned from."
    )
    optim = planned.config.optim
    if (forecast.batch_size, forecast.accumulate) != (optim.batch_size, optim.accumulate):
        fitting = {"optim.batch_size": forecast.batch_size, "optim.accumulate": forecast.accumulate}
        st.warning(
            f"A batch of {count(optim.batch_size)} does not fit in memory. {count(forecast.batch_size)} does; with "
            f"{count(forecast.accumulate)} of them to a step the run learns from as many images a step.",
            icon=":material/memory:",
        )
        st.button("Use the batch that fits", on_click=set_fields, args=(fitting,), icon=":material/check:")
    for advice in forecast.advice:
        st.info(escape(advice), icon=":material/lightbulb:")


_OFFER = Offer("preflight", "Try a few steps", PREFLIGHT, _forecast)
