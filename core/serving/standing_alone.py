"""The API without the dashboard: one process, or several that share the port; all finish what they took."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import asdict

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from uvicorn.supervisors import Multiprocess

from core.errors import InputError
from core.serving.application import create_app
from core.serving.limits import Limits
from core.serving.models import Models
from core.workspace import Workspace

_PLAN = "DARKROOM_SERVING"  # in the environment of the processes: what they serve
_GRACE_S = 5  # beyond the time an answer may take


def serve(workspace: Workspace, runs: Sequence[str], address: socket.socket, workers: int, limits: Limits) -> None:
    """Answer requests until the process is told to end, by SIGTERM or Ctrl-C; then finish those that are at work.

    Args:
        runs: ids or folders of those to serve.
        address: bound, see `bound`.
        workers: processes.

    Raises:
        InputError: a run is not there, or has no model to serve.
    """
    os.environ[_PLAN] = json.dumps({"runs": list(runs), "limits": asdict(limits)})
    config = uvicorn.Config(
        "core.serving.standing_alone:application",
        factory=True,
        workers=workers,
        access_log=False,
        log_level="error",  # warnings are of what clients send, as many as they like
        proxy_headers=False,  # who is asking is what `core.serving.clients` has to see
        server_header=False,
        timeout_worker_healthcheck=60,  # on a busy machine 5 s pass without a sign from a process that is well
        timeout_graceful_shutdown=int(limits.receive_s + limits.answer_s + _GRACE_S),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn gives the signal on when it has ended by itself
    if workers == 1:
        config.load_app = lambda: application  # type: ignore[method-assign]
        uvicorn.Server(config).run([address])
        return
    with tempfile.TemporaryDirectory(prefix="darkroom-serving-") as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        Multiprocess(config, [address]).run()


def application() -> Starlette:
    """What each process serves, its models in memory."""
    plan = json.loads(os.environ[_PLAN])
    workspace = Workspace.default()
    models = Models(workspace, plan["runs"])
    models.load_named()
    api = create_app(models, workspace, Limits(**plan["limits"]))
    probes = [Route(path, api) for path in ("/healthz", "/readyz", "/metrics")]  # where orchestrators look for them
    return Starlette(routes=[Route("/", _to_docs), *probes, Mount("/api", api)])


def bound(host: str, port: int) -> socket.socket:
    """A socket for `serve`; port 0 takes any that is free.

    Raises:
        InputError: the address is in use, or not one of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it: see `core.listening`
        listening.bind(address)
    except OSError as error:
        raise InputError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.", "Choose another --port or --host."
        ) from error
    listening.set_inheritable(True)
    return listening


async def _to_docs(_: Request) -> RedirectResponse:
    return RedirectResponse("/api/docs")
