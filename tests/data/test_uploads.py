"""What a browser sends: only with a ticket, only archives, counted while it comes, and gone once it is used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import app as launcher
from core.data.datasets import accept, look_at, pending
from core.data.uploads import Receiver, issue_ticket, uploaded
from core.errors import InputError
from core.workspace import Workspace
from tests.conftest import ImageFolder
from tests.waiting import wait_until


def files_in(workspace: Workspace) -> list[str]:
    return sorted(file.name for file in workspace.uploads.rglob("*") if file.is_file() and file.name != "ticket.json")


@pytest.mark.parametrize("name", ["", "a.exe", "../../a.zip/..", ".zip", "a\0.zip", "x" * 250 + ".zip"])
def test_names_that_are_no_archive(workspace: Workspace, name: str) -> None:
    with pytest.raises(InputError):
        Receiver(workspace, issue_ticket(workspace), name, 10)


def test_a_path_in_the_name_is_only_a_name(workspace: Workspace) -> None:
    ticket = issue_ticket(workspace)
    with Receiver(workspace, ticket, "..\\../../etc/photos.zip", None) as receiver:
        receiver.write(b"abc")
        receiver.finish()
    assert uploaded(workspace, ticket) == workspace.uploads / ticket / "photos.zip"


@pytest.mark.parametrize("ticket", ["", "..", "nobody", "x" * 43])
def test_without_a_ticket_nothing_is_taken(workspace: Workspace, ticket: str) -> None:
    with pytest.raises(InputError, match="not expected"):
        Receiver(workspace, ticket, "a.zip", 1)
    with pytest.raises(InputError, match="did not arrive"):
        uploaded(workspace, ticket)


def test_too_much_is_refused_announced_or_not(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.data.uploads.MAX_BYTES", 1000)
    ticket = issue_ticket(workspace)
    with pytest.raises(InputError, match="larger than"):
        Receiver(workspace, ticket, "a.zip", 1001)
    with pytest.raises(InputError, match="larger than"), Receiver(workspace, ticket, "a.zip", None) as receiver:
        for _ in range(3):
            receiver.write(b"x" * 400)
    assert files_in(workspace) == []


def test_the_route_takes_an_archive_to_a_dataset_and_forgets_it(
    workspace: Workspace, image_folder: ImageFolder, tmp_path: Path
) -> None:
    folder = image_folder("photos")
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", folder))
    ticket = issue_ticket(workspace)
    with TestClient(Starlette(routes=launcher.ROUTES)) as client:
        path = f"/upload/{ticket}?name=photos.zip"
        assert client.post(path, content=archive.read_bytes(), headers={"origin": "http://evil.org"}).status_code == 403
        refused = client.post(f"/upload/{ticket}?name=run.sh", content=b"x")
        assert refused.status_code == 400 and "no archive" in refused.json()["error"]
        assert files_in(workspace) == []
        assert client.post(path, content=archive.read_bytes()).status_code == 200
    identity = look_at(workspace, uploaded(workspace, ticket))
    wait_until(lambda: pending(workspace, identity)[0].ended, "the upload to be indexed")
    kept = accept(workspace, identity)
    assert kept.num_images == 16 and kept.source == "photos.zip"
    assert files_in(workspace) == [] and not (workspace.uploads / ticket).exists()
