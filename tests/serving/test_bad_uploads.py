"""Uploads that are damaged or hostile get an answer, leave nothing behind and harm nobody."""

from __future__ import annotations

import gc
import random

import pytest

from benchmarks.serving import mutated, varied
from core.serving.receiving import Upload
from tests.serving.conftest import Serve
from tests.serving.served import picture


def test_images_with_bytes_changed(serve: Serve) -> None:
    asking, dice = serve(), random.Random(0)
    seeds = varied([picture(number, 255 - number, 90, "JPEG") for number in range(0, 240, 20)])
    assert len(seeds) > 100
    read = 0
    for _ in range(30):
        answer = asking.ask(*(mutated(seeds, dice) for _ in range(20)))
        assert answer.status_code in (200, 422)
        rows = answer.json()["predictions"]
        assert len(rows) == 20 and all((row["error"] is None) == (row["label"] is not None) for row in rows)
        read += sum(row["error"] is None for row in rows)
    assert 20 < read < 580  # neither all refused nor none touched
    assert asking.ask(picture(250, 0, 0)).json()["predictions"][0]["label"] == "red"
    assert asking.service.workers.waiting == asking.service.admission.held_bytes == 0


def test_names_of_all_kinds_come_back_as_they_were(serve: Serve) -> None:
    names = [
        "a b.png",
        "naïve 写真.png",
        "<img src=x onerror=alert(1)>",
        "../../etc/passwd",
        "=1+1",
        "%2e%2e",
    ]
    rows = serve().ask(*((name, picture(1, 2, 3)) for name in names)).json()["predictions"]
    assert [row["name"] for row in rows] == names


@pytest.mark.parametrize("files", [[picture(1, 2, 3)], [b"no image"], [picture(1, 2, 3), bytes(2_000_000)]], ids=len)
def test_uploads_are_let_go_at_once(serve: Serve, files: list[bytes]) -> None:
    """And not when Python next looks for what only knows itself: until then large ones fill the memory."""
    asking = serve(file_mb=1)
    asking.ask(*files)
    gc.collect()
    gc.disable()
    try:
        statuses = {asking.ask(*files).status_code for _ in range(3)}
        assert len(statuses) == 1 and not [one for one in gc.get_objects() if isinstance(one, Upload)]
    finally:
        gc.enable()
