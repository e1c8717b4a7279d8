"""The API as part of the dashboard's server: put together at the first request, as most dashboards are never asked."""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from core.workspace import Workspace


class MountedAPI:
    """An ASGI application that serves every run of the workspace that has a model."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._making:
                self._app = self._app or await run_in_threadpool(_made)
        await self._app(scope, receive, send)


def _made() -> ASGIApp:
    from core.serving.application import create_app  # FastAPI takes a while to load
    from core.serving.models import Models

    workspace = Workspace.default()
    return create_app(Models(workspace), workspace)
