"""Who is answered: holders of a key; and while there is no key at all, programs on this machine only.

A reverse proxy on this machine makes the whole world look local, and so does a web page in a browser on this machine
that sends requests here. So without a key a request also has to be free of the headers that proxies add, has to name
this machine as its host, and must not come from a page of another site. A proxy that hides all of that cannot be told
from a local program: behind one, create a key first.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from core.errors import DarkroomError
from core.serving.keys import Keys
from core.serving.limits import Refused

_FORWARDED = {
    "cf-connecting-ip",
    "fly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-original-forwarded-for",
    "x-real-ip",
}
_LOCAL_ONLY = "Until an API key exists, only programs on the machine Darkroom runs on are answered"
_CREATE = "Create a key on the page Serve or with: python -m core keys create NAME. Then send it with each request."


def check(scope: Scope, keys: Keys) -> None:
    """Let the client of a request pass, or say why not.

    Args:
        scope: of the request, as ASGI has it.

    Raises:
        Refused: 401 where a key is needed, 403 where there is none yet and the client is not on this machine, 503
            where the keys cannot be read.
    """
    headers = Headers(scope=scope)
    try:
        if keys:
            scheme, _, text = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or keys.accept(text.strip()) is None:
                raise Refused(
                    401,
                    "This API needs a valid key.",
                    "Send the header: Authorization: Bearer KEY.",
                    WWW_Authenticate='Bearer realm="darkroom"',
                )
            return
    except DarkroomError as error:
        raise Refused(503, "The API keys cannot be read, so nobody is let in.", "See the server's log.") from error
    if reason := _not_local(scope, headers):
        raise Refused(403, f"{_LOCAL_ONLY}, and {reason}.", _CREATE)


def _not_local(scope: Scope, headers: Headers) -> str:
    """Why the client does not count as a program on this machine; empty where it does."""
    client = scope.get("client")
    if client is None or not is_loopback(client[0]):
        return "this request comes from another one"
    if not _FORWARDED.isdisjoint(headers.keys()):
        return "this request came through a proxy"
    if len(headers.getlist("host")) != 1 or not is_loopback(_host_of(f"//{headers['host']}")):
        return "this request calls it by another name than localhost"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers["host"]:
        return "this request comes from a web page of another site"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "this request comes from a web page of another site"
    return ""


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    inner = getattr(address, "ipv4_mapped", None)
    return (inner or address).is_loopback
