"""A camera's frames are answered one at a time, for whoever has a ticket, by the model the ticket is for."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from core.inference import live
from core.inference.classifier import Classifier, onnx_forward, open_classifier
from core.inference.live import VIEWERS, FrameRefused, Viewers, look
from tests.conftest import Trained

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture(scope="module")
def classifier(trained: Trained) -> Classifier:
    return open_classifier(trained.run.bundle)


@pytest.fixture(scope="module")
def client() -> TestClient:
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from app import ROUTES

    return TestClient(Starlette(routes=ROUTES))


def _frame(kind: str = "JPEG") -> bytes:
    stream = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (36, 48, 3), np.uint8)).save(stream, kind)
    return stream.getvalue()


def test_a_frame_gets_the_answer_that_an_upload_gets(classifier: Classifier, client: TestClient) -> None:
    ticket, frame = VIEWERS.admit(classifier), _frame()
    (expected,) = classifier.classify([frame], ["frame"])
    for _ in range(2):
        reply = client.post(f"/live/{ticket}", content=frame)
        assert reply.status_code == 200 and reply.headers["cache-control"] == "no-store"
        said = reply.json()
        assert (said["label"], said["sure"], said["familiar"]) == (expected.label, expected.sure, expected.familiar)
        assert said["top"] == [list(one) for one in expected.top[:3]] and said["confidence"] == expected.confidence
        assert said["ms"] > 0
    VIEWERS.dismiss(ticket)
    assert client.post(f"/live/{ticket}", content=frame).status_code == 404


def test_what_the_model_is_not_sure_of_is_said(classifier: Classifier) -> None:
    assert classifier.bundle.onnx is not None
    careful = replace(classifier.bundle, abstention_threshold=1.0, energy_threshold=-1e9, distance_threshold=None)
    said = look(Classifier(careful, onnx_forward(classifier.bundle.onnx)), _frame())
    assert (said["sure"], said["familiar"]) == (False, False)
    assert look(classifier, _frame())["sure"] is True  # no threshold was chosen for it


@pytest.mark.parametrize(
    ("frame", "status", "words"),
    [
        (b"", 422, "The file is empty"),
        (b"not an image", 422, "Not an image"),
        (_frame("TIFF"), 422, "not TIFF"),
        (_frame()[:-300], 422, "cut short"),
        (b"\0" * (live.MAX_BYTES + 1), 413, "4 MB"),
    ],
)
def test_what_is_no_frame_is_refused_and_the_next_is_answered(
    classifier: Classifier, client: TestClient, frame: bytes, status: int, words: str
) -> None:
    ticket = VIEWERS.admit(classifier)
    reply = client.post(f"/live/{ticket}", content=frame)
    assert reply.status_code == status and words in reply.json()["error"]
    assert client.post(f"/live/{ticket}", content=_frame()).status_code == 200


def test_a_frame_of_too_many_pixels_is_refused_before_it_is_decoded(classifier: Classifier) -> None:
    stream = BytesIO()
    Image.new("L", (5000, 5000)).save(stream, "PNG")
    with pytest.raises(FrameRefused, match="16,000,000 pixels"):
        look(classifier, stream.getvalue())


def test_other_sites_and_other_tickets_are_refused(classifier: Classifier, client: TestClient) -> None:
    ticket = VIEWERS.admit(classifier)
    assert client.post(f"/live/{ticket}", content=_frame(), headers={"origin": "http://evil"}).status_code == 403
    assert client.post(f"/live/{ticket}x", content=_frame()).status_code == 404
    assert client.post(f"/live/{ticket}", content=_frame(), headers={"origin": "http://testserver"}).status_code == 200


def test_one_frame_at_a_time(classifier: Classifier) -> None:
    viewers = Viewers()
    one, other = viewers.admit(classifier), viewers.admit(classifier)
    with viewers.turn(one) as look_at:
        with pytest.raises(FrameRefused) as refused, viewers.turn(one):
            pass
        assert refused.value.status == 429
        with viewers.turn(other) as look_too:
            assert look_too(_frame())["label"] == look_at(_frame())["label"]
    with viewers.turn(one) as look_again, pytest.raises(FrameRefused):
        look_again(b"")
    with viewers.turn(one) as look_again:
        assert look_again(_frame())["top"]


def test_tickets_are_forgotten(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    viewers = Viewers()
    first = viewers.admit(classifier)
    later = [viewers.admit(classifier) for _ in range(64)]
    assert not viewers.knows(first) and all(map(viewers.knows, later))
    monkeypatch.setattr(live, "_FORGET_AFTER_S", -1.0)
    last = viewers.admit(classifier)
    assert viewers.knows(last) and not any(map(viewers.knows, later))
