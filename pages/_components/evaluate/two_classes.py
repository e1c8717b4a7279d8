"""Evaluate's view for two classes: where to draw the line between them, given what each kind of error costs."""

from __future__ import annotations

import streamlit as st

from core.charts_evaluation import costs_chart
from core.evaluation.roc import cheapest, threshold_costs
from core.evaluation.scores import THRESHOLDS, error_rates
from core.runs.store import Run
from core.wording import count, percent, percent_interval, significant
from pages._components import readers
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.guard import fragment
from pages._components.text import escape

_SLIDER, _POSITIVE = "two-class-threshold", "two-class-positive"


def fits(report: Report) -> bool:
    """Whether there are two classes, and test images of both."""
    return len(report["classes"]) == 2 and all(row["support"] for row in report["per_class"])


@fragment
def draw(run: Run, report: Report) -> None:
    """The slider, what it gets wrong, and what that costs."""
    names = report["classes"]
    st.markdown(
        "By default the likelier class is the answer, which is a threshold of 50 %. Where one kind of error is worse "
        "than the other, another threshold costs less."
    )
    positive = st.segmented_control(
        "Positive class (the one to find)", names, default=names[1], required=True, key=f"{_POSITIVE}-{run.id}"
    )
    other = names[1 - names.index(positive)]
    left, right = st.columns(2)
    missed = left.number_input(
        f"Cost of a missed {escape(positive)}", 0.0, 1e6, 1.0, key="cost-missed", help="In any unit you like."
    )
    alarm = right.number_input(
        f"Cost of a {escape(other)} taken for it", 0.0, 1e6, 1.0, key="cost-alarm", help="In the same unit."
    )
    answers = readers.two_class_scores(run, positive)
    if answers is None:
        st.markdown("No predictions are stored with this run.")
        return
    tables = {
        split: threshold_costs(scores, truth, THRESHOLDS, missed, alarm) if len(scores) else None
        for split, (scores, truth) in answers.items()
    }
    test, val = tables["test"], tables["val"]
    chosen = (
        st.slider("Threshold (%)", 1, 99, 50, key=_SLIDER, help="From this probability on, the positive class.") / 100
    )
    row = test.iloc[int(abs(test["threshold"] - chosen).to_numpy().argmin())]
    with st.container(horizontal=True, key="two-class-figures"):
        for title, rate in error_rates(row, positive, other).items():
            st.metric(escape(title), f"{rate['of']}: {percent_interval(*rate['share'])}", width="content")
        st.metric("Cost of 100 images", significant(row["cost"]), width="content")
    if val is not None:
        best = cheapest(val)
        there = test.iloc[int(abs(test["threshold"] - best["threshold"]).to_numpy().argmin())]
        st.markdown(
            f"On the {count(int(len(answers['val'][0])), 'validation image')} the least cost is at "
            f"{percent(best['threshold'])}: {significant(best['cost'])} for 100 images there, "
            f"{significant(there['cost'])} on the test images, which had no say in it."
        )
        st.button(
            f"Set the threshold to {percent(best['threshold'])}",
            on_click=_set,
            args=(round(100 * float(best["threshold"])),),
            help="Choose by the validation images and judge by the test images: judged by the images it was chosen on, "
            "a threshold looks better than it is.",
        )
    show_figure(costs_chart(test, val, chosen), test, "two-class-costs", "Cost of 100 images at each threshold")


def _set(value: int) -> None:
    st.session_state[_SLIDER] = value
