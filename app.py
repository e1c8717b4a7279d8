"""Starts Darkroom: `streamlit run app.py` serves the dashboard and its thumbnails from one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import streamlit as st
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from core.data import mean_images, thumbnails, uploads
from core.errors import DarkroomError
from core.inference.live import VIEWERS, FrameRefused, check_size
from core.listening import answer_at_once
from core.serving.mounted import MountedAPI
from core.workspace import Workspace
from pages._components.guard import show_failure

# The address holds the hash of the image's bytes, so what it answers never changes.
_KEEP = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_FORGET = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LOOKING = ThreadPoolExecutor(2, "live")  # of its own, so that thumbnails and cameras do not wait for each other


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
    if _from_elsewhere(request):
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


async def live_frame(request: Request) -> Response:
    """`/live/{ticket}`: one frame of the camera on the page that drew the ticket, answered by what the model sees."""
    if _from_elsewhere(request):
        return JSONResponse({"error": "This frame comes from another site."}, 403, headers=_FORGET)
    try:
        with VIEWERS.turn(request.path_params["ticket"]) as look:
            frame = bytearray()
            async for piece in request.stream():
                frame += piece
                check_size(len(frame))
            answer = await asyncio.get_running_loop().run_in_executor(_LOOKING, look, bytes(frame))
    except FrameRefused as error:
        return JSONResponse({"error": error.message, "fix": error.fix}, error.status, headers=_FORGET)
    except ClientDisconnect:  # the page was left while a frame was on its way
        return Response(status_code=400, headers=_FORGET)
    return JSONResponse(answer, headers=_FORGET)


def _from_elsewhere(request: Request) -> bool:
    """Whether a page of another site sends this."""
    origin = request.headers.get("origin")
    return bool(origin) and urlsplit(origin).netloc != request.headers.get("host")


async def no_thumbnail(_: Request) -> Response:
    """Any other address below `/thumb/`; without it Streamlit would answer with the dashboard's own page."""
    return JSONResponse({"error": "There is no such thumbnail."}, 404, headers=_FORGET)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """What surrounds the serving of requests."""
    answer_at_once()
    yield


ROUTES = [
    Route("/thumb/{size:int}/{dataset_id}/{content_hash}", thumbnail),
    Route("/thumb/{anything:path}", no_thumbnail),
    Route("/mean/{key}", mean_image),
    Route("/upload/{ticket}", upload, methods=["POST"]),
    Route("/live/{ticket}", live_frame, methods=["POST"]),
    Mount("/api", MountedAPI()),
]
app = st.App("pages/_shell/main.py", routes=ROUTES, lifespan=lifespan, on_script_error=show_failure)
