"""What `predict` answers: the same as everywhere else, for each file, within limits that are told."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.inference.bundle import note_trust
from core.inference.classifier import open_classifier
from core.serving import schemas
from core.serving.limits import Limits, Refused
from core.serving.receiving import receive_files
from core.serving.workers import MOST_TOGETHER
from tests.serving.conftest import Serve
from tests.serving.served import CLASSES, held_back, in_threads, picture
from tests.waiting import wait_until

RED, GREEN, BLUE = picture(200, 30, 30), picture(20, 180, 40, "JPEG"), picture(0, 0, 250, "WEBP")


def test_each_file_is_answered_as_the_classifier_does(serve: Serve) -> None:
    asking = serve()
    note_trust(asking.run.bundle, temperature=2.0, abstention_threshold=0.6)
    files = [("rot.png", RED), ("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n.jpg", GREEN), ("b.webp", BLUE)]
    answer = asking.ask(*files, top_k=2)
    assert answer.status_code == 200
    found = schemas.Predictions.model_validate_json(answer.content, strict=True)
    expected = open_classifier(asking.run.bundle).classify([data for _, data in files], [name for name, _ in files])
    assert found.run == asking.run.id
    for one, other in zip(found.predictions, expected, strict=True):
        assert (one.name, one.label, one.accepted, one.error) == (other.name, other.label, other.accepted, None)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-6)
        assert [(best.label, pytest.approx(best.probability, abs=1e-6)) for best in one.top] == other.top[:2]
    assert [one.label for one in found.predictions] == CLASSES
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"


def test_a_file_that_is_no_image_is_named_and_the_rest_done(serve: Serve) -> None:
    asking = serve()
    answer = asking.ask(("bad.jpg", b"no image"), ("good.png", RED), ("short.png", RED[:45]))
    rows = answer.json()["predictions"]
    assert answer.status_code == 200 and [row["error"] is None for row in rows] == [False, True, False]
    assert [row["name"] for row in rows] == ["bad.jpg", "good.png", "short.png"]
    assert rows[0]["label"] is None and not rows[0]["accepted"] and rows[0]["top"] == []
    alone = asking.ask(("bad.jpg", b"no image"))
    assert alone.status_code == 422 and alone.json()["predictions"][0]["error"]


def test_not_sure_is_said(serve: Serve) -> None:
    asking = serve()
    note_trust(asking.run.bundle, abstention_threshold=0.999)
    (row,) = asking.ask(picture(120, 118, 118)).json()["predictions"]
    assert row["label"] == "red" and row["sure"] is False and row["accepted"] is False
    assert 'outcome="not_sure"' in asking.client.get("/metrics").text


def test_a_model_that_changes_is_read_anew(serve: Serve) -> None:
    asking = serve()
    first = asking.ask(RED).json()["predictions"][0]["confidence"]
    note_trust(asking.run.bundle, temperature=50.0)
    assert asking.ask(RED).json()["predictions"][0]["confidence"] < first


def test_models_and_labels_are_told(serve: Serve) -> None:
    asking = serve()
    (model,) = asking.client.get("/v1/models").json()["models"]
    assert model["run"] == asking.run.id and model["labels"] == CLASSES
    assert asking.client.get(f"/v1/models/{asking.run.id}").json() == model
    assert asking.client.get(f"/v1/models/{asking.run.id}/labels").json()["labels"] == CLASSES
    for name in ("nope", "..", "a%2Fb", "..%2F..%2Fetc", ".hidden", "x" * 150, "a b"):
        for place in (f"/v1/models/{name}", f"/v1/models/{name}/labels"):
            assert asking.client.get(place).status_code == 404


@pytest.mark.parametrize(
    ("limits", "files", "status"),
    [
        ({"files": 2}, [RED] * 3, 413),
        ({"file_mb": 0.00005}, [RED], 413),
        ({"request_mb": 0.0001}, [RED], 413),
        ({"held_mb": 0.0001}, [RED], 429),
        ({}, [], 415),
    ],
)
def test_what_is_too_much_is_refused_with_the_limit(
    serve: Serve, limits: dict[str, float], files: list[bytes], status: int
) -> None:
    asking = serve(**limits)
    answer = asking.ask(*files)
    assert answer.status_code == status and answer.json()["error"]
    assert ("retry-after" in answer.headers) == (status == 429)
    assert asking.service.admission.held_bytes == asking.service.admission.num_requests == 0


def test_saliency_is_for_a_few_images_a_request(serve: Serve) -> None:
    answer = serve().ask(*[RED] * 9, saliency=True)
    assert answer.status_code == 413 and "8 images" in answer.json()["error"]


def test_an_image_of_too_many_pixels_is_refused_before_they_are_decoded(serve: Serve) -> None:
    asking = serve(megapixels=1)
    stream = BytesIO()
    Image.new("1", (1001, 1000)).save(stream, "PNG")
    (row,) = asking.ask(stream.getvalue()).json()["predictions"]
    assert "1,001 x 1,000" in row["error"]


BOUNDARY = b"--x\r\n"
PART = b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (BOUNDARY + PART + RED + b"\r\n--x--\r\n", "multipart/form-data; boundary=x", 200),
        (BOUNDARY + PART + RED + b"\r\n--x--\r\n", 'Multipart/Form-Data; boundary="x"', 200),
        (BOUNDARY + PART + RED, "multipart/form-data; boundary=x", 400),
        (b"nothing of the kind", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
        (BOUNDARY + PART + RED + b"\r\n--x--\r\n", "multipart/form-data", 400),
        (BOUNDARY + PART + RED + b"\r\n--x--\r\n", "multipart/form-data; boundary=" + 300 * "x", 400),
        (BOUNDARY + PART.replace(b"files", b"file") + RED + b"\r\n--x--\r\n", "multipart/form-data; boundary=x", 422),
        (BOUNDARY + b"\r\n" + RED + b"\r\n--x--\r\n", "multipart/form-data; boundary=x", 422),
        (BOUNDARY + PART.replace(b"a.png", 5000 * b"a") + b"\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        (RED, "image/png", 415),
        (b"{}", "application/json", 415),
    ],
)
def test_a_body_that_is_not_what_it_should_be(serve: Serve, body: bytes, kind: str, status: int) -> None:
    asking = serve()
    answer = asking.client.post(asking.path, content=body, headers={"content-type": kind})
    assert answer.status_code == status, answer.text
    assert status == 200 or (
        answer.json()["error"] and "curl" in answer.json()["fix"] + "curl" * (status in (400, 413))
    )


def test_a_request_that_does_not_arrive_is_given_up() -> None:
    from starlette.requests import Request

    from core.serving.admission import Admission

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    sent = iter([{"type": "http.request", "body": BOUNDARY, "more_body": True}])

    async def receive() -> Any:
        try:
            return next(sent)
        except StopIteration:
            return await asyncio.Event().wait()

    async def ask() -> None:
        limits = Limits(receive_s=0.05)
        with Admission(limits).request() as held:
            await receive_files(Request(scope, receive), held, limits)

    # In a thread of its own: where a browser test ran before, Playwright has left a loop running in this one.
    with ThreadPoolExecutor(1) as pool, pytest.raises(Refused) as refused:
        pool.submit(asyncio.run, ask()).result()
    assert refused.value.status == 408


def test_images_of_several_requests_are_answered_in_one_call(serve: Serve) -> None:
    asking = serve()
    with held_back(asking) as held:
        going: list[Any] = []
        pictures = [RED, GREEN, BLUE] * 8
        work = [partial(asking.ask, one) for one in pictures]

        def let_go() -> None:
            wait_until(lambda: asking.service.workers.waiting == len(pictures), "all requests to wait")
            held.let_go.set()

        going = in_threads([*work, let_go])[:-1]
    assert [answer.json()["predictions"][0]["label"] for answer in going] == CLASSES * 8
    assert 1 < max(held.sizes) <= MOST_TOGETHER and sum(held.sizes) == len(pictures)


def test_beyond_the_queue_clients_are_told_to_come_again(serve: Serve) -> None:
    asking = serve(queue=4)
    with held_back(asking) as held:

        def overload() -> list[int]:
            wait_until(lambda: asking.service.workers.waiting == 4, "the queue to be full")
            answers = [asking.ask(RED, GREEN) for _ in range(20)]
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
            held.let_go.set()
            return [answer.status_code for answer in answers]

        first, second, refused = in_threads([partial(asking.ask, RED, GREEN), partial(asking.ask, BLUE, RED), overload])
    assert first.status_code == second.status_code == 200 and set(refused) == {429}
    assert asking.ask(RED).status_code == 200 and asking.service.workers.waiting == 0


def test_an_answer_that_takes_too_long_is_given_up(serve: Serve) -> None:
    asking = serve(answer_s=0.1)
    asking.service.models.load(asking.run)
    with held_back(asking):
        answer = asking.ask(RED)
    assert answer.status_code == 429 and "0.1 s" in answer.json()["error"]
    wait_until(lambda: asking.service.workers.waiting == 0, "the queue to be empty")
    assert asking.service.admission.held_bytes == 0


def test_a_fault_in_the_network_is_of_this_request_alone(serve: Serve) -> None:
    asking = serve()
    classifier = asking.service.models.load(asking.run)
    engine = classifier._engine

    class Broken:
        def __call__(self, images_NCHW: np.ndarray) -> np.ndarray:
            raise RuntimeError("a fault")

        with_features = __call__

    classifier._engine = Broken()  # type: ignore[assignment]
    answer = asking.ask(RED)
    assert (
        answer.status_code == 500
        and "fault in Darkroom" in answer.json()["error"]
        and "RuntimeError" not in answer.text
    )
    classifier._engine = engine
    assert asking.ask(RED).status_code == 200 and asking.service.workers.waiting == 0


def test_what_is_counted(serve: Serve) -> None:
    asking = serve()
    asking.ask(RED, b"no image")
    asking.client.get("/made/up")
    text = asking.client.get("/metrics").text
    run = asking.run.id
    assert f'darkroom_images_total{{outcome="answered",run="{run}"}} 1.0' in text
    assert f'darkroom_images_total{{outcome="unreadable",run="{run}"}} 1.0' in text
    assert 'darkroom_requests_total{route="/v1/models/{run}/predict",status="200"} 1.0' in text
    assert 'darkroom_requests_total{route="none",status="404"} 1.0' in text and "made/up" not in text
    assert "darkroom_images_waiting 0.0" in text and "darkroom_images_together_count 1.0" in text
