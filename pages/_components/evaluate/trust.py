"""Evaluate's view of when to trust the model: whether its confidence is honest, and when it should give no answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.charts_trust import coverage_chart, reliability_chart
from core.evaluation.abstention import TARGET, Threshold, choose_threshold, smallest_target, with_threshold
from core.inference.bundle import Bundle, note_trust, read_bundle
from core.runs.store import Run
from core.wording import count, percent, percent_interval, significant
from pages._components import readers
from pages._components.evaluate import strangers
from pages._components.evaluate.view import Report
from pages._components.figures import show_figure
from pages._components.guard import fragment, guarded
from pages._components.text import escape

NEEDED = ("calibration", "abstention", "unknown")
PROMISES = {"95 %": 0.95, "90 %": 0.9, "80 %": 0.8}
_TARGET = "abstention-target"  # session: the number input's value in percent


def draw(run: Run, report: Report) -> None:
    """Calibration, abstention and images unlike the model's own, in that order."""
    if not all(name in report for name in NEEDED):
        st.info("This run was evaluated by an earlier version of Darkroom, which did not look into this.")
        st.markdown("Evaluate it again:")
        st.code(f"python -m core evaluate {run.id}", language="bash")
        return
    _calibration(report["calibration"])
    _abstention(run)
    strangers.draw(run, report)


def _calibration(found: dict[str, Any]) -> None:
    st.subheader("Does its confidence mean what it says?")
    if "test" not in found:
        st.markdown("There are no test images to tell by.")
        return
    before, after = found["test"]["before"], found["test"]["after"]
    fitted = found["reason"] is None
    now = after if fitted else before
    st.markdown(
        f"On the test images it is right {percent(now['accuracy'])} of the time and says "
        f"{percent(now['mean_confidence'])} on average"
        + (f" ({percent(before['mean_confidence'])} as trained). " if fitted else ". ")
        + (
            f"Its logits are divided by a temperature of {significant(found['temperature'])}, fitted on "
            f"{count(found['fitted_on'], 'validation image')}; that changes no answer, only how sure it is."
            if fitted
            else f"No temperature was fitted: {escape(found['reason'])}."
        )
    )
    with st.container(horizontal=True, key="calibration-figures"):
        for name, title, show, help in (
            ("ece", "Calibration error (ECE)", percent, "Mean gap between confidence and accuracy, in 15 bins."),
            ("brier", "Brier score", significant, "Squared distance to the truth, all classes: 0 is best, 2 worst."),
            ("nll", "Log-loss (nats)", significant, "Mean -ln of the true class's probability."),
        ):
            words = show(before[name]) + (f" \N{RIGHTWARDS ARROW} {show(after[name])}" if fitted else "")
            st.metric(title, words, width="content", help=f"{help} Of the test images; smaller is better.")
    rows = [("as trained", row) for row in before["reliability"]]
    rows += [("with the temperature", row) for row in after["reliability"]] if fitted else []
    figure = reliability_chart(before["reliability"], after["reliability"] if fitted else None)
    table = pd.DataFrame([{"model": model} | row for model, row in rows])
    show_figure(figure, table, "reliability", "Share right by confidence, on the test images, beside the even line")


@fragment
def _abstention(run: Run) -> None:
    st.subheader("When should it say that it is not sure?")
    bundle = read_bundle(run.bundle)
    answers = readers.answers(run, bundle.temperature)
    st.session_state.setdefault(_TARGET, 100 * (bundle.abstention_target or TARGET))
    with st.container(horizontal=True, key="abstention-choice"):
        target = st.number_input(
            "Wrong answers at most (%)",
            min_value=0.1,
            max_value=50.0,
            step=0.5,
            format="%.1f",
            key=_TARGET,
            width=220,
            help="Of the answers it gives. The smaller, the more images get no answer.",
        )
        promise = st.segmented_control(
            "How surely",
            list(PROMISES),
            default="95 %",
            required=True,
            key="abstention-promise",
            help="The chance that the error on new images like these really stays below that.",
        )
    chosen = choose_threshold(*answers["val"], target / 100, PROMISES[promise])
    effect = None if chosen.threshold is None else with_threshold(*answers["test"], chosen.threshold)
    if chosen.threshold is None:
        _cannot(chosen, smallest_target(*answers["val"], PROMISES[promise]))
    else:
        _can(run, chosen, effect)
    _stored(run, bundle, answers)
    curve = readers.coverage(run, bundle.temperature)
    if curve:
        figure = coverage_chart(curve, target / 100, effect)
        show_figure(figure, pd.DataFrame(curve), "coverage", "Error among the answers by share of test images answered")


def _can(run: Run, chosen: Threshold, effect: dict[str, Any] | None) -> None:
    assert chosen.threshold is not None and effect is not None
    st.markdown(
        f"Answers from a confidence of **{percent(chosen.threshold)}** on keep to that: of "
        f"{count(chosen.images, 'validation image')} {count(chosen.answered)} get one and {count(chosen.wrong)} of "
        f"those are wrong, so for images like these the error is at most {percent(chosen.bound)}, "
        f"{100 * chosen.promise:.0f} % sure. The test images, which had no part in the choice: {_effect(effect)}"
    )
    st.caption(
        "Exact binomial bound (Clopper and Pearson), tested along a fixed sequence of thresholds (Learn then Test). "
        "It holds for images from where these come from; the same validation images also chose the epoch that was kept."
    )
    if st.button("Use this threshold", icon=":material/save:", type="primary", key="store-threshold"):
        _store(run, chosen.threshold, chosen.target)


def _cannot(chosen: Threshold, smallest: float | None) -> None:
    st.info(
        f"{count(chosen.images, 'validation image')} cannot show an error of at most {percent(chosen.target)}, "
        f"{100 * chosen.promise:.0f} % sure: that takes at least {count(chosen.least, 'answer')} without a "
        "mistake, more with some. "
        + (f"The smallest error they can show is {percent(smallest)}." if smallest else "They show no useful one.")
        + " More validation images, a better model or less certainty would help.",
        icon=":material/info:",
    )
    if smallest:

        def take() -> None:
            st.session_state[_TARGET] = 100 * smallest

        st.button(f"Try {percent(smallest)}", on_click=take, key="smallest-target")


def _stored(run: Run, bundle: Bundle, answers: dict[str, Any]) -> None:
    """What the model does now, and a threshold by hand."""
    threshold = bundle.abstention_threshold
    if threshold is None:
        st.markdown(":material/edit_off: No threshold is stored: the model answers every image, however unsure.")
    else:
        why = "set by hand" if bundle.abstention_target is None else f"for {percent(bundle.abstention_target)} wrong"
        st.markdown(
            f":material/verified: Stored with the model: below {percent(threshold)} it is not sure ({why}). "
            f"Of the test images, {_effect(with_threshold(*answers['test'], threshold))}"
        )
        if st.button("Answer everything again", icon=":material/delete:", key="remove-threshold"):
            _store(run, None, None)
    with st.expander("Set a threshold by hand"):
        by_hand = st.slider("Answer from a confidence of (%)", 0.0, 100.0, 100 * (threshold or 0.5), 0.1, key="by-hand")
        st.markdown(
            f"No promise comes with it. Of the test images, {_effect(with_threshold(*answers['test'], by_hand / 100))}"
        )
        if st.button("Use this one", icon=":material/save:", key="store-by-hand"):
            _store(run, by_hand / 100, None)


def _effect(effect: dict[str, Any]) -> str:
    if not effect["answered"]:
        return f"none of {count(effect['images'])} gets an answer."
    error = percent_interval(effect["error"], effect["error_low"], effect["error_high"])
    return (
        f"{count(effect['answered'])} of {count(effect['images'])} get an answer ({percent(effect['coverage'])}) and "
        f"{count(effect['wrong'])} of those are wrong: {error}."
    )


def _store(run: Run, threshold: float | None, target: float | None) -> None:
    with guarded():
        note_trust(run.bundle, abstention_threshold=threshold, abstention_target=target)
        st.rerun()
