"""The launcher serves thumbnails by content, and nothing else below their address."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from core.data.datasets import index_path
from core.workspace import Workspace
from tests.conftest import ImageFolder

if TYPE_CHECKING:
    from starlette.testclient import TestClient


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    """A client of the launcher's own routes; Streamlit's server can be started only once a process."""
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from app import ROUTES

    return TestClient(Starlette(routes=ROUTES))


def test_a_thumbnail_is_sent_with_leave_to_keep_it(
    client: TestClient, workspace: Workspace, image_folder: ImageFolder
) -> None:
    dataset = index_path(workspace, image_folder(size=(400, 200), suffix=".jpg"))
    content_hash = dataset.manifest()["content_hash"].iloc[0]
    answer = client.get(f"/thumb/160/{dataset.id}/{content_hash}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"] and answer.headers["x-content-type-options"] == "nosniff"
    assert Image.open(BytesIO(answer.content)).size == (200, 100)


@pytest.mark.parametrize(
    "path",
    [
        "/thumb/160/nope-123456/0123456789abcdef",
        "/thumb/161/nope-123456/0123456789abcdef",
        "/thumb/big/nope-123456/0123456789abcdef",
        "/thumb/160/..%2F..%2Fetc/passwd",
        "/thumb/160/nope-123456/..%2F..%2F..%2Fetc%2Fpasswd",
        "/thumb/",
    ],
)
def test_anything_else_is_refused_as_json(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_image_that_changed_is_not_served_as_the_old_one(
    client: TestClient, workspace: Workspace, image_folder: ImageFolder
) -> None:
    folder = image_folder()
    dataset = index_path(workspace, folder)
    row = dataset.manifest().iloc[0]
    (folder / row["path"]).write_bytes(b"something else")
    answer = client.get(f"/thumb/160/{dataset.id}/{row['content_hash']}")
    assert answer.status_code == 404 and "changed" in answer.json()["error"]
