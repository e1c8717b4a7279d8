"""How the learning rate will move, and which one to choose."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import charts_training
from core.runs.lr_search import LR_SEARCH, LrCurve
from core.wording import count, significant
from pages._components.config_form import set_fields
from pages._components.figures import show_figure
from pages._components.guard import guarded
from pages._components.text import escape
from pages._components.train.planned import Planned
from pages._components.train.trial import Offer, draw_trial


def draw(planned: Planned) -> None:
    """The planned curve, then the search for a good rate."""
    config = planned.config
    steps = charts_training.steps_per_epoch(config, planned.num_train)
    st.markdown(
        f"At most **{significant(config.optim.learning_rate)}**, {config.schedule.kind}, over "
        f"{count(config.optim.epochs, 'epoch')} of {count(steps, 'step')}."
    )
    if config.schedule.kind == "plateau":
        st.caption(
            f"When validation has not improved for {count(config.schedule.plateau_patience, 'epoch')} the rate is "
            f"multiplied by {significant(config.schedule.gamma)}; when that happens depends on the run, so the curve "
            "shows the start alone."
        )
    rates = charts_training.learning_rates(config, planned.num_train)
    figure = charts_training.learning_rate_chart(rates)
    show_figure(figure, rates, "learning-rate", "The learning rate over the epochs of the run")
    st.subheader("Which learning rate is good?")
    st.caption(
        "Tries ever larger rates on these images for some steps and watches the loss: too small a rate changes "
        "nothing, too large a one makes it explode, and a good one lies where it falls fastest."
    )
    with guarded():
        draw_trial(planned, _OFFER)


def _found(planned: Planned, found: LrCurve) -> None:
    st.markdown(escape(found.note))
    if found.suggestion is not None:
        used = planned.config.optim.learning_rate == found.suggestion
        st.button(
            f"{'Used' if used else 'Use'} {significant(found.suggestion)}",
            key="use-learning-rate",
            type="primary",
            icon=":material/check:",
            disabled=used,
            on_click=set_fields,
            args=({"optim.learning_rate": found.suggestion},),
        )
    table = pd.DataFrame({"learning_rate": found.rates, "loss": found.losses})
    figure = charts_training.lr_search_chart(found.rates, found.losses, found.suggestion)
    show_figure(figure, table, "lr-search", "Loss against learning rate")


_OFFER = Offer("lr-search", "Find a learning rate", LR_SEARCH, _found)
