"""Without a key only programs on this machine are answered, with one only its holders."""

from __future__ import annotations

import pytest

from tests.serving.conftest import Serve
from tests.serving.served import LOCAL

PLACES = ("/v1/models", "/metrics")
OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_programs_on_this_machine_are_answered(serve: Serve, address: str) -> None:
    client = serve().from_((address, 1))
    assert [client.get(place).status_code for place in PLACES] == [200, 200]


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.2", "::ffff:10.0.0.7", "2001:db8::1", "unix", ""])
def test_others_are_told_to_get_a_key(serve: Serve, address: str) -> None:
    client = serve().from_((address, 1))
    for place in PLACES:
        answer = client.get(place)
        assert answer.status_code == 403 and "keys create" in answer.json()["fix"]
    assert [client.get(place).status_code for place in OPEN] == [200] * len(OPEN)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"X-Forwarded-For": ""},
        {"forwarded": "for=127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x-forwarded-proto": "https"},
        {"cf-connecting-ip": "::1"},
        {"host": "darkroom.example.com"},
        {"host": "127.0.0.1.example.com"},
        {"host": "localhost.example.com:8501"},
        {"host": "[::1"},
        {"host": ""},
        {"origin": "https://example.com"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_what_comes_through_a_proxy_or_from_a_web_page_is_not_of_this_machine(
    serve: Serve, headers: dict[str, str]
) -> None:
    assert serve().client.get("/v1/models", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost"},
        {"host": "localhost:8501"},
        {"host": "[::1]:8501"},
        {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
def test_the_machines_own_names_and_pages_are(serve: Serve, headers: dict[str, str]) -> None:
    assert serve().client.get("/v1/models", headers=headers).status_code == 200


def test_once_there_is_a_key_everybody_needs_one(serve: Serve) -> None:
    asking = serve()
    key, text = asking.service.keys.create("camera")
    remote = asking.from_(("10.0.0.7", 1))
    good = {"Authorization": f"Bearer {text}", "X-Forwarded-For": "10.0.0.9", "Host": "darkroom.example.com"}
    for client in (asking.client, remote):
        for wrong in ({}, {"Authorization": text}, {"Authorization": f"Basic {text}"}, {"Authorization": "Bearer "}):
            answer = client.get("/v1/models", headers=wrong)
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
        assert client.get("/v1/models", headers=good).status_code == 200
        assert client.get(OPEN[0]).status_code == 200
    asking.service.keys.revoke(key.id)
    assert remote.get("/v1/models", headers=good).status_code == 403
    assert asking.from_(LOCAL).get("/v1/models").status_code == 200


def test_keys_that_cannot_be_read_let_nobody_in(serve: Serve) -> None:
    asking = serve()
    asking.workspace.api_keys.write_text("half a fi")
    assert asking.client.get("/v1/models").status_code == 503
    assert asking.client.get("/readyz").status_code == 503 and asking.client.get("/healthz").status_code == 200


def test_a_refusal_comes_before_the_body_is_looked_at(serve: Serve) -> None:
    asking = serve()
    answer = asking.from_(("10.0.0.7", 1)).post(asking.path, content=b"no form at all")
    assert answer.status_code == 403 and asking.service.workers.waiting == 0
