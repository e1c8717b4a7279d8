"""The dashboard's own server has the API under `/api`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.workspace import Workspace
from tests.serving.served import LOCAL, colour_run, form, picture


def test_the_dashboard_answers_below_api_alone(workspace: Workspace) -> None:
    from app import ROUTES

    run = colour_run(workspace)
    client = TestClient(Starlette(routes=ROUTES), base_url="http://127.0.0.1", client=LOCAL)
    assert client.get("/api/healthz").json() == {"status": "ok"}
    answer = client.post(f"/api/v1/models/{run.id}/predict", files=form(picture(9, 200, 9)))
    assert answer.status_code == 200 and answer.json()["predictions"][0]["label"].startswith("green")
    assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/api"}]
    page = client.get("/api/docs").text
    assert "/api/static-offline-docs/swagger-ui.css" in page
    assert client.get("/api/static-offline-docs/swagger-ui.css").status_code == 200
    unknown = client.get("/api/anything/else")
    assert unknown.status_code == 404 and unknown.json()["error"]
    remote = TestClient(client.app, base_url="http://darkroom.example.com", client=("10.1.1.1", 1))
    assert remote.get("/api/v1/models").status_code == 403 and remote.get("/api/docs").status_code == 200
