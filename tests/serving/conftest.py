"""The API over a workspace with one small model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from core.workspace import Workspace
from tests.serving.served import Asking, colour_run

Serve = Callable[..., Asking]


@pytest.fixture
def serve(workspace: Workspace) -> Iterator[Serve]:
    """Makes the API with limits of the test's choice: `serve(files=3)`."""
    made: list[Asking] = []
    run = colour_run(workspace)

    def make(**limits: float) -> Asking:
        made.append(Asking(workspace, run, **limits))
        return made[-1]

    yield make
    for asking in made:
        asking.service.workers.close()
