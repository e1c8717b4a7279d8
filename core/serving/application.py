"""The REST API as one application: what it answers, mounted in the dashboard under `/api` and served alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from core.errors import DarkroomError
from core.evaluation.explainer import ExplainedImage, explain_later
from core.inference.classifier import Answer
from core.runs.store import Run
from core.serving import schemas
from core.serving.admission import Admission
from core.serving.counters import CONTENT_TYPE, Counters
from core.serving.front import Front
from core.serving.keys import Keys
from core.serving.limits import Limits, Refused
from core.serving.models import Models
from core.serving.receiving import FIELD, Upload, receive_files
from core.serving.workers import Workers
from core.workspace import Workspace

MOST_EXPLAINED = 8  # images of one request that are explained, which takes about a second each
_log = logging.getLogger("darkroom")
_KEY = [Depends(HTTPBearer(auto_error=False, description="An API key."))]  # told, not checked: `Front` does
_RUN = Path(description="The id of a run that has a model.", max_length=200)
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Image files of any kind Darkroom reads, each a part of this name.",
                        }
                    },
                }
            }
        },
    }
}
_DESCRIPTION = """Classify images with trained models.

Send a key with each request (`Authorization: Bearer KEY`). While no key exists, programs on this machine are answered
without one, and nobody else. A request beyond what can be queued is answered 429 with `Retry-After`."""


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Problem, "description": _WHY[status]} for status in statuses}


_WHY = {
    400: "The body is not what its headers say.",
    401: "A valid key is needed.",
    403: "No key exists, and the client is not a program on this machine.",
    404: "No such run, or it has no model.",
    408: "The request did not arrive in time.",
    409: "The model cannot be run here.",
    413: "Too large, or too many files.",
    415: "The body is of another kind than multipart/form-data.",
    422: "A parameter, or every file, cannot be used.",
    429: "Too much is at work; come again after `Retry-After` seconds.",
    503: "The server cannot let anybody in.",
}
_ENTRY = _problems(401, 403, 503)


class Service:
    """What the routes share: the models, the threads, the limits and the counters."""

    def __init__(self, workspace: Workspace, models: Models, limits: Limits) -> None:
        self.limits, self.models = limits, models
        self.keys = Keys(workspace)
        self.admission, self.counters = Admission(limits), Counters()
        self.workers = Workers(limits, self.counters)
        watch = self.counters.watch
        watch("darkroom_images_waiting", "Images asked for and not answered yet.", lambda: self.workers.waiting)
        watch("darkroom_held_bytes", "Bytes of requests being received or answered.", lambda: self.admission.held_bytes)

    async def predict(self, request: Request, run_id: str, top_k: int, saliency: bool) -> tuple[Run, list[Any]]:
        """Classify what a request brings; raises `Refused`."""
        run = self.models.open(run_id)
        with self.admission.request() as held:
            uploads = await receive_files(request, held, self.limits)
            if saliency and len(uploads) > MOST_EXPLAINED:
                most = f"Saliency is made for up to {MOST_EXPLAINED} images a request."
                raise Refused(413, most, "Send fewer at once.")
            classifier = self.models.loaded(run) or await run_in_threadpool(self.models.load, run)
            asked = self.workers.ask(classifier, uploads)
            try:
                answers = await asked.answers(self.limits.answer_s)
            except TimeoutError as error:
                raise self.workers.too_slow() from error
            for answer in answers:
                self.counters.images.labels(run.id, _outcome(answer)).inc()
            explained = await self._explained(run, uploads, answers) if saliency else [None] * len(answers)
        pairs = zip(answers, explained, strict=True)
        return run, [schemas.prediction(answer, top_k, picture) for answer, picture in pairs]

    async def _explained(self, run: Run, uploads: list[Upload], answers: list[Answer]) -> list[ExplainedImage | None]:
        """Where the model looked in each image that was read."""
        asked = [
            None if answer.error else asyncio.wrap_future(explain_later(run, upload.data, answer.label))
            for upload, answer in zip(uploads, answers, strict=True)
        ]
        waiting = [one for one in asked if one is not None]
        try:
            async with asyncio.timeout(self.limits.answer_s):
                await asyncio.gather(*waiting)
        except TimeoutError as error:
            raise self.workers.too_slow() from error
        except DarkroomError as error:
            raise Refused(409, error.message, error.fix) from error
        finally:
            for one in waiting:
                one.cancel()
        return [None if one is None else one.result() for one in asked]


def create_app(models: Models, workspace: Workspace, limits: Limits | None = None) -> FastAPI:
    """The application; `app.state.service` is what its routes share.

    Args:
        models: that it serves.
        limits: the usual ones by default.
    """
    service = Service(workspace, models, limits or Limits())
    app = FastAPIOffline(
        title="Darkroom",
        version="1",
        description=_DESCRIPTION,
        redoc_url=None,
        openapi_tags=[{"name": "models"}, {"name": "server"}],
    )
    app.state.service = service
    app.add_middleware(Front, keys=service.keys, counters=service.counters)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)

    @app.get("/v1/models", tags=["models"], dependencies=_KEY, responses=_ENTRY)
    def list_models() -> schemas.Models:
        """List the models."""
        found = []
        for run in models.runs():
            try:
                found.append(schemas.model(run, models.bundle(run)))
            except Refused:  # damaged: it is named where it is asked for
                continue
        return schemas.Models(models=found)

    @app.get("/v1/models/{run}", tags=["models"], dependencies=_KEY, responses=_ENTRY | _problems(404, 409, 422))
    def describe_model(run: Annotated[str, _RUN]) -> schemas.Model:
        """Describe one model."""
        found = models.open(run)
        return schemas.Model(**schemas.model(found, models.bundle(found)))

    @app.get("/v1/models/{run}/labels", tags=["models"], dependencies=_KEY, responses=_ENTRY | _problems(404, 409, 422))
    def list_labels(run: Annotated[str, _RUN]) -> schemas.Labels:
        """List the classes a model knows."""
        found = models.open(run)
        return schemas.Labels(run=found.id, labels=models.bundle(found).classes)

    @app.post(
        "/v1/models/{run}/predict",
        tags=["models"],
        dependencies=_KEY,
        response_model=None,
        openapi_extra=_FORM,
        responses={200: {"model": schemas.Predictions}}
        | _ENTRY
        | _problems(400, 404, 408, 409, 413, 415, 429)
        | {422: {"model": schemas.Predictions | schemas.Problem, "description": _WHY[422]}},
    )
    async def predict(
        request: Request,
        run: Annotated[str, _RUN],
        top_k: Annotated[int, Query(ge=1, le=1000, description="Classes to name for each image.")] = 5,
        saliency: Annotated[bool, Query(description="Also show where the model looked; about a second each.")] = False,
    ) -> Response:
        """Classify one or many images.

        Files that cannot be read get an entry that says why; where no file can be read the status is 422.
        """
        found, predictions = await service.predict(request, run, top_k, saliency)
        readable = any(one["error"] is None for one in predictions)
        return _json({"run": found.id, "predictions": predictions}, 200 if readable else 422)

    @app.get("/healthz", tags=["server"])
    def healthz() -> schemas.Health:
        """Whether the server runs; answered to everybody."""
        return schemas.Health(status="ok")

    @app.get("/readyz", tags=["server"], responses={503: {"model": schemas.Health}})
    def readyz(response: Response) -> schemas.Health:
        """Whether its models are in memory and its keys can be read; answered to everybody."""
        try:
            service.keys.list()
        except DarkroomError:
            response.status_code = 503
            return schemas.Health(status="The API keys cannot be read.")
        if not models.are_ready():
            response.status_code = 503
            return schemas.Health(status="A model is being loaded.")
        return schemas.Health(status="ok")

    @app.get("/metrics", tags=["server"], dependencies=_KEY, response_class=Response, responses=_ENTRY)
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.counters.text(), media_type=CONTENT_TYPE)

    return app


def _outcome(answer: Answer) -> str:
    if answer.error:
        return "unreadable"
    if answer.familiar is False:
        return "strange"
    return "answered" if answer.sure else "not_sure"


def _json(value: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


async def _refused(_: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return _json({"error": refused.message, "fix": refused.fix}, refused.status, refused.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors())
    return _json({"error": f"A parameter is not valid: {said}.", "fix": "See /api/docs."}, 422)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": f"{error.detail}.", "fix": "See /api/docs."}, error.status_code, dict(error.headers or {}))


async def _fault(_: Request, __: Exception) -> Response:
    return _json({"error": "Something went wrong, which is a fault in Darkroom.", "fix": "See the server's log."}, 500)
