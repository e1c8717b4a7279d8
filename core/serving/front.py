"""What every request passes before the routes: who is let in, what is counted, and how a refusal reaches the client."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.serving.clients import check
from core.serving.counters import Counters
from core.serving.keys import Keys
from core.serving.limits import Refused

_TO_EVERYBODY = ("/healthz", "/readyz", "/docs", "/openapi.json", "/static-offline-docs/")  # they tell nothing
_DRAINED_BYTES, _DRAINED_S = 80_000_000, 5.0
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Front:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp, keys: Keys, counters: Counters) -> None:
        self._app, self._keys, self._counters = app, keys, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        exchange = _Exchange(scope, receive, send)
        try:
            if not _path(scope).startswith(_TO_EVERYBODY):
                check(scope, self._keys)
            await self._app(scope, exchange.receive, exchange.send)
        except Refused as refused:
            body = orjson.dumps({"error": refused.message, "fix": refused.fix})
            answer = Response(body, refused.status, refused.headers, media_type="application/json")
            await answer(scope, exchange.receive, exchange.send)
        finally:
            route = getattr(scope.get("route"), "path", "none")  # the pattern, never what a client made up
            self._counters.requests.labels(route, str(exchange.status)).inc()
            self._counters.seconds.labels(route).observe(time.perf_counter() - exchange.began)


class _Exchange:
    """One request and its answer.

    A refusal is sent when the rest of the body has come and been thrown away: a server that closes the connection
    before makes the client's machine drop the answer unread.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        self._receive, self._send = receive, send
        self._to_come = b"content-length" in headers or b"transfer-encoding" in headers
        self._waits_for_leave = b"expect" in headers  # and sends nothing before it is asked to
        self.status, self.began = 500, time.perf_counter()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._to_come = False
        self._waits_for_leave = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name for name, _ in message["headers"]}
            message = {**message, "headers": [*message["headers"], *(h for h in _HEADERS if h[0] not in present)]}
            if self._to_come and not self._waits_for_leave:
                await self._drain()
        await self._send(message)

    async def _drain(self) -> None:
        left = _DRAINED_BYTES
        try:
            async with asyncio.timeout(_DRAINED_S):
                while self._to_come and left > 0:
                    message: Any = await self.receive()
                    left -= len(message.get("body", b""))
        except TimeoutError:
            pass


def _path(scope: Scope) -> str:
    """The path below where the application is mounted."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
