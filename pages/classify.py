"""Classify: what is in this image?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from core.errors import DarkroomError
from core.inference.bundle import Bundle, read_bundle
from core.runs.store import Run, list_runs, summary
from core.wording import count, percent
from core.workspace import Workspace
from pages._components import keys, readers
from pages._components.answers import Shown, show_answers, shown_answer
from pages._components.guard import show_error
from pages._components.labels import run_labels
from pages._components.text import escape

SOURCES = ("Upload", "Camera")
ANSWERS = "answers"  # session: digest of model, name and bytes -> answer
LAST = "last-answers"  # session: (model, answers) shown last, since Streamlit forgets uploads on a change of page
MOST_KEPT = 500
CARDS_A_PAGE = 12


def _classified(run: Run, images: Sequence[tuple[str, bytes]]) -> list[Shown]:
    """An answer for each image, from the session where the same model has answered the same file before."""
    kept: dict[str, Shown] = st.session_state.setdefault(ANSWERS, {})
    version = readers.model_version(run)
    names = [hashlib.blake2b(f"{version} {name} ".encode() + data).hexdigest() for name, data in images]
    new = [i for i, name in enumerate(names) if name not in kept]
    if new:
        with st.spinner(f"Classifying {count(len(new), 'image')}"):
            classifier = readers.classifier(run)
            answers = classifier.classify([images[i][1] for i in new], [images[i][0] for i in new])
        for i, answer in zip(new, answers, strict=True):
            kept[names[i]] = shown_answer(images[i][1], answer, classifier.bundle.abstention_threshold)
    shown = [kept[name] for name in names]
    wanted = set(names)  # however many: else each drawing would classify some again
    for name in [name for name in kept if name not in wanted][: max(0, len(kept) - MOST_KEPT)]:
        del kept[name]
    return shown


def _forget() -> None:
    """Files were added or removed: what was shown before is no longer what the page is about."""
    st.session_state.pop(LAST, None)


def _upload() -> list[tuple[str, bytes]]:
    files = st.file_uploader(
        "Images",
        accept_multiple_files=True,
        key="uploads",
        on_change=_forget,
        help="Any number, up to 50 MB each. They stay on this machine and are forgotten when the page is closed.",
    )
    return [(file.name, file.getvalue()) for file in files]


def _camera() -> list[tuple[str, bytes]]:
    st.caption("Browsers allow the camera on this machine or over HTTPS only; elsewhere use Upload.")
    photo = st.camera_input("Take a photo", key="photo", on_change=_forget)
    return [("photo.jpg", photo.getvalue())] if photo else []


def _results(answers: list[Shown]) -> None:
    unread = [answer for answer in answers if answer.error]
    words = f"{count(len(answers) - len(unread), 'image')} classified"
    refused = sum(answer.refused for answer in answers)
    st.subheader(
        words
        + (f", {count(refused)} without an answer" if refused else "")
        + (f", {count(len(unread), 'file')} not" if unread else "")
    )
    page = keys.page_of(len(answers), CARDS_A_PAGE, keys.PAGE)
    listed = unread + [answer for answer in answers if not answer.error]  # what went wrong must not hide on page 9
    show_answers(listed[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE], key="answer-cards")
    st.caption(_what_it_means(read_bundle(run.bundle)))


def _what_it_means(bundle: Bundle) -> str:
    """How the model's confidence came about, and when it gives no answer."""
    honest = "Confidences are calibrated on its validation images. " if bundle.temperature != 1 else ""
    if bundle.abstention_threshold is None:
        when = "It answers however unsure it is: a threshold is chosen on Evaluate, under When to trust it."
    else:
        when = f"Below {percent(bundle.abstention_threshold)} it says that it is not sure."
    return honest + when


def _explain(run: Run, error: DarkroomError) -> None:
    show_error(error)
    if read_bundle(run.bundle).onnx is None:
        st.markdown("From the command line the weights themselves can classify:")
        st.code(f"python -m core predict {run.id} IMAGE --engine torch", language="bash")


st.title("What is in this image?")
runs = [run for run in list_runs(Workspace.default()) if run.has_bundle]
if not runs:
    st.info("This page classifies your own images with a trained model. No run has a model yet.")
    st.page_link(keys.TRAIN, label="Train a model first", icon=":material/model_training:")
    st.stop()
with st.sidebar:
    chosen = keys.choose("Model from run", [run.id for run in runs], keys.RUN, run_labels(runs))
    st.page_link(keys.EVALUATE, label="How good it is", icon=":material/fact_check:", query_params={keys.RUN: chosen})
run = next(one for one in runs if one.id == chosen)
try:
    readers.classifier(run)
except DarkroomError as error:
    _explain(run, error)
    st.stop()
bundle = read_bundle(run.bundle)
accuracy = summary(run)["test_accuracy"]
st.markdown(
    f"One of {count(len(bundle.classes), 'class', 'classes')}: {escape(', '.join(bundle.classes[:12]))}"
    + (" and more" if len(bundle.classes) > 12 else "")
    + (f". On its test images this model is right {percent(accuracy)} of the time." if accuracy is not None else ".")
)
source = st.segmented_control("Take images from", SOURCES, default=SOURCES[0], required=True, key="source")
images = _upload() if source == SOURCES[0] else _camera()
if images:
    st.session_state[LAST] = (readers.model_version(run), _classified(run, images))
last_model, answers = st.session_state.get(LAST, (None, []))
if last_model == readers.model_version(run):  # with another threshold the same model would answer otherwise
    _results(answers)
else:
    st.caption("Each image is shown here beside its likeliest classes.")
