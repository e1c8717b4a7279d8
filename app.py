"""Starts Darkroom: `streamlit run app.py` serves the dashboard and its thumbnails from one process."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.data import mean_images, thumbnails, uploads
from core.errors import DarkroomError
from core.workspace import Workspace
from pages._components.guard import show_failure

# The address holds the hash of the image's bytes, so what it answers never changes.
_KEEP = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_FORGET = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def thumbnail(request: Request) -> Response:
    """`/thumb/{size}/{dataset_id}/{content_hash}`: a small copy of one image of a registered dataset."""
    asked = request.path_params
    try:
        data, media_type = await run_in_threadpool(
            thumbnails.thumbnail, Workspace.default(), asked["dataset_id"], asked["content_hash"], asked["size"]
        )
    except DarkroomError as error:
        return JSONResponse({"error": error.message, "fix": error.fix}, 404, headers=_FORGET)
    return Response(data, media_type=media_type, headers=_KEEP)


async def mean_image(request: Request) -> Response:
    """`/mean/{key}`: the mean image of a class, as `core.data.mean_images.prepare` noted it under that key."""
    try:
        data = await run_in_threadpool(mean_images.mean_image, Workspace.default(), request.path_params["key"])
    except DarkroomError as error:
        return JSONResponse({"error": error.message, "fix": error.fix}, 404, headers=_FORGET)
    return Response(data, media_type="image/png", headers=_KEEP)


async def upload(request: Request) -> Response:
    """`/upload/{ticket}?name=photos.zip`: one file sent by the page that drew the ticket, straight to disk."""
    origin = request.headers.get("origin")
    if origin and urlsplit(origin).netloc != request.headers.get("host"):
        return JSONResponse({"error": "This upload comes from another site."}, 403, headers=_FORGET)
    announced = request.headers.get("content-length", "")
    name, num_bytes = request.query_params.get("name", ""), int(announced) if announced.isdecimal() else None
    try:
        with uploads.Receiver(Workspace.default(), request.path_params["ticket"], name, num_bytes) as receiver:
            async for piece in request.stream():
                await run_in_threadpool(receiver.write, piece)
            await run_in_threadpool(receiver.finish)
    except DarkroomError as error:
        return JSONResponse({"error": error.message, "fix": error.fix}, 400, headers=_FORGET)
    return JSONResponse({}, headers=_FORGET)


async def no_thumbnail(_: Request) -> Response:
    """Any other address below `/thumb/`; without it Streamlit would answer with the dashboard's own page."""
    return JSONResponse({"error": "There is no such thumbnail."}, 404, headers=_FORGET)


ROUTES = [
    Route("/thumb/{size:int}/{dataset_id}/{content_hash}", thumbnail),
    Route("/thumb/{anything:path}", no_thumbnail),
    Route("/mean/{key}", mean_image),
    Route("/upload/{ticket}", upload, methods=["POST"]),
]
app = st.App("pages/_shell/main.py", routes=ROUTES, on_script_error=show_failure)
