"""The run as planned: will it work, what will the network see, how will it learn?"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import charts_training
from core.wording import count
from pages._components import keys
from pages._components.labels import dataset_sentence
from pages._components.text import escape
from pages._components.train import classes, learning_rate, preflight, seen
from pages._components.train.planned import Planned

# What the part is called on the page and in the address -> what draws it. Only the chosen one is drawn.
PARTS: dict[str, Callable[[Planned], None]] = {
    "Pre-flight": preflight.draw,
    "What the network sees": seen.draw,
    "Learning rate": learning_rate.draw,
    "Classes": classes.draw,
}


def draw_plan(planned: Planned | None) -> None:
    """Draw what is chosen of the plan; None where the settings do not amount to a run yet."""
    if planned is None:
        st.info("The settings in the sidebar need a correction before they make a plan; it is named above Start.")
        return
    st.markdown(escape(_answer(planned)))
    if classes.balance(planned).advised is not None:
        st.caption(":material/balance: The classes are uneven enough to call for a correction: see Classes.")
    names = list(PARTS)
    part = st.segmented_control(
        "Part of the plan",
        names,
        required=True,
        label_visibility="collapsed",
        **keys.linked(keys.PLAN, keys.one_of(names), names[0]),
    )
    PARTS[part](planned)


def _answer(planned: Planned) -> str:
    config = planned.config
    steps = charts_training.steps_per_epoch(config, planned.num_train)
    learns = {"head": "its head learns", "last": "its last stages learn", "gradual": "its stages wake one by one"}
    return (
        f"Planned: {config.model.architecture} on {planned.dataset.name} ({dataset_sentence(planned.dataset)}); "
        f"{learns.get(config.model.tune, 'every layer learns')} from {count(planned.num_train, 'training image')} in "
        f"up to {count(config.optim.epochs, 'epoch')} of {count(steps, 'step')}."
    )
