"""The camera on Classify: what it sees is classified live, also while a run trains, and let go of when it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.inference.batches import Batch, find_batch
from core.runs.store import Run
from core.workspace import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import Server, Visitor, begin, end_runs, expect
from tests.waiting import wait_until

LIVE = ".st-key-webcam"
REFUSALS = {
    "NotAllowedError": "The camera is not allowed here. Allow it by the sign beside the address",
    "NotFoundError": "This device has no camera.",
    "NotReadableError": "Another program is using the camera.",
}
ANSWER = re.compile(r"^(\d \d+\.\d %|Not sure|Unlike its own images)$")  # the classes are digits
ASKED_FOR = """
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.streams = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
  window.asked = wanted;
  if (window.refusal) throw new DOMException("", window.refusal);
  const stream = await real(wanted);
  window.streams.push(stream);
  return stream;
};
"""
RECORDING = "window.streams.some((one) => one.getTracks().some((track) => track.readyState === 'live'))"
SHOWN = "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {} }});"
TOLD = "document.dispatchEvent(new Event('visibilitychange'));"


@pytest.fixture(autouse=True)
def ended(home: Path) -> Iterator[None]:
    """What was left training would take the machine from later tests."""
    yield
    end_runs(home)


def test_frames_are_answered_while_a_run_trains(server: Server, digits_run: Run, visit: Visit) -> None:
    training = begin(server.home, "digits", 500)
    wait_until(lambda: len(training.metrics()) > 0, "an epoch")
    visitor = _at_the_camera(server, digits_run, visit)
    visitor.press("Start camera")
    epochs = len(training.metrics())
    wait_until(lambda: _frames(visitor) >= 30, "thirty answers")
    wait_until(lambda: len(training.metrics()) > epochs, "an epoch beside it")
    assert visitor.tab.evaluate("window.asked.video.facingMode") == "environment"
    expect(visitor.tab.locator(f"{LIVE} .line").first).to_contain_text("frames per second")
    expect(visitor.tab.locator(f"{LIVE} .words")).to_have_text(ANSWER)
    stage = visitor.tab.locator(f"{LIVE} .stage")
    rate, late = (float(stage.get_attribute(f"data-{name}") or 0) for name in ("rate", "late"))
    print(f"{rate:.1f} frames a second, {late:.0f} ms each, beside a run that trains")
    assert rate > 0 and late > 0
    visitor.photographs("classify-live")


def test_only_a_frame_that_is_asked_for_is_kept(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = _at_the_camera(server, digits_run, visit)
    visitor.press("Start camera")
    wait_until(lambda: _frames(visitor) >= 3, "answers")
    assert _batch(visitor) is None
    with visitor.redrawn():
        visitor.tab.get_by_role("button", name="Keep this frame").click()
    visitor.sees("1 image classified")
    batch = _batch(visitor)
    assert batch is not None
    (item,) = batch.items()
    assert item.name.startswith("frame-") and batch.file(item.path).read_bytes()[:2] == b"\xff\xd8"
    before = _frames(visitor)
    wait_until(lambda: _frames(visitor) > before, "it goes on beside the kept one")
    visitor.finds_no_fault()


def test_the_camera_is_let_go_of(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = _at_the_camera(server, digits_run, visit)
    tab = visitor.tab

    def starts() -> None:
        visitor.press("Start camera")
        wait_until(lambda: tab.evaluate(RECORDING) and _frames(visitor) >= 1, "an answer")

    starts()
    visitor.press("Stop")
    assert not tab.evaluate(RECORDING)
    starts()
    tab.evaluate(SHOWN.format("true") + TOLD)
    visitor.sees("Stopped while this tab was hidden.")
    assert not tab.evaluate(RECORDING)
    tab.evaluate(SHOWN.format("false") + TOLD)
    starts()
    visitor.pick("Upload")
    tab.wait_for_function(f"!({RECORDING})")
    visitor.finds_no_fault()


def test_a_camera_that_is_refused_says_why(server: Server, digits_run: Run, visit: Visit) -> None:
    visitor = _at_the_camera(server, digits_run, visit)
    for refusal, words in REFUSALS.items():
        visitor.tab.evaluate(f"window.refusal = {refusal!r}")
        visitor.press("Start camera")
        visitor.sees(words)
    visitor.tab.evaluate("window.refusal = ''")
    visitor.press("Start camera")
    wait_until(lambda: _frames(visitor) >= 1, "an answer after all")
    expect(visitor.tab.get_by_text(words)).to_have_count(0)


def _at_the_camera(server: Server, run: Run, visit: Visit) -> Visitor:
    visitor = visit(server)
    visitor.tab.add_init_script(ASKED_FOR)
    visitor.open("classify", run=run.id)
    visitor.pick("Live")
    return visitor


def _frames(visitor: Visitor) -> int:
    return int(visitor.tab.locator(f"{LIVE} .stage").get_attribute("data-frames") or 0)


def _batch(visitor: Visitor) -> Batch | None:
    identity = visitor.tab.evaluate("new URLSearchParams(location.search).get('batch')")
    return find_batch(Workspace(visitor.server.home), identity) if identity else None
