"""The OpenAPI description is true: schemathesis makes requests from it, and the answers are as it says."""

from __future__ import annotations

import random

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from core.workspace import Workspace
from tests.serving.conftest import Serve
from tests.serving.served import Asking, colour_run, picture

SETTINGS = settings(
    max_examples=30,  # of each operation and mode
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
IMAGES = [picture(200, 30, 30), picture(20, 180, 40, "JPEG"), picture(0, 0, 250, "GIF"), b"", b"no image"]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    workspace = Workspace(tmp_path_factory.mktemp("described") / "home")
    return Asking(workspace, colour_run(workspace))


@pytest.fixture(scope="module")
def described(asking: Asking) -> schemathesis.BaseSchema:
    """The description, with real images among the files and the run's real id among the addresses."""
    schemathesis.openapi.format("binary", st.sampled_from(IMAGES) | st.binary(max_size=200))

    @schemathesis.hook
    def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, str]) -> dict[str, str]:
        if path_parameters and random.Random(str(path_parameters)).random() < 0.7:
            return {**path_parameters, "run": asking.run.id}
        return path_parameters

    @schemathesis.hook
    def filter_query(context: schemathesis.HookContext, query: dict[str, object]) -> bool:
        return not query or str(query.get("saliency", "false")).lower() not in ("true", "1", "on", "yes", "y", "t")

    _, text = asking.service.keys.create("schemathesis")
    config = schemathesis.Config.from_dict({"headers": {"Authorization": f"Bearer {text}"}})
    return schemathesis.openapi.from_asgi("/openapi.json", asking.app, config=config)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_fault_and_no_status_that_is_not_described(described: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    """Requests as they should be, and such as they should not."""
    for found in described.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing but the run's id, which may be any text
        cases = operation.as_strategy(generation_mode=mode)

        @SETTINGS
        @given(case=cases)
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(excluded_checks=[positive_data_acceptance])  # no schema says "an image"

        check()


def test_every_route_is_described_with_what_it_may_answer(serve: Serve) -> None:
    paths = serve().client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/v1/models", "/v1/models/{run}", "/v1/models/{run}/labels", "/v1/models/{run}/predict"),
        *("/healthz", "/readyz", "/metrics"),
    }
    answers = paths["/v1/models/{run}/predict"]["post"]["responses"]
    assert set(answers) == {*"200 400 401 403 404 408 409 413 415 422 429 503".split()}


def test_the_documentation_loads_nothing_from_elsewhere(serve: Serve) -> None:
    text = serve().client.get("/docs").text
    assert "swagger-ui" in text and "http://" not in text and "https://" not in text
