"""The Dockerfile and the compose file, as far as can be told without an engine: linted, and what they name is there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.__main__ import build_parser
from core.serving.limits import Limits
from core.workspace import REPOSITORY

SCRIPTS = Path(sysconfig.get_path("scripts"))
DOCKERFILE, COMPOSE = REPOSITORY / "Dockerfile", REPOSITORY / "compose.yaml"


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, in order, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def _hadolint(path: Path) -> list[str]:
    command = [str(SCRIPTS / "hadolint"), "--format", "json", str(path)]
    return [found["code"] for found in json.loads(subprocess.run(command, capture_output=True, check=False).stdout)]


def test_hadolint_has_nothing_to_say(tmp_path: Path) -> None:
    assert _hadolint(DOCKERFILE) == []
    worse = DOCKERFILE.read_text(encoding="utf-8").replace("FROM python:3.11-slim-bookworm", "FROM python")
    (tmp_path / "Dockerfile").write_text(worse, encoding="utf-8")
    assert _hadolint(tmp_path / "Dockerfile") == ["DL3006"]


def test_the_compose_file_fits_its_schema(tmp_path: Path) -> None:
    def check(path: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert check(COMPOSE) == 0
    (tmp_path / "worse.yaml").write_text(COMPOSE.read_text(encoding="utf-8").replace("init: true", "init: [1]"))
    assert check(tmp_path / "worse.yaml") == 1


def test_what_is_copied_is_there_and_not_left_out(instructions: list[tuple[str, str]]) -> None:
    copied = {rest.split()[0] for name, rest in instructions if name == "COPY"}
    assert copied == {"requirements.txt", ".streamlit", "app.py", "core", "pages"}
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied and ignored[1] == "*"
    assert all((REPOSITORY / name).exists() for name in copied)


def test_it_does_not_run_as_root_and_is_looked_after(instructions: list[tuple[str, str]]) -> None:
    names = [name for name, _ in instructions]
    found = dict(instructions)
    assert found["USER"] == "10001" and names.index("USER") < names.index("CMD")
    assert "/api/healthz" in found["HEALTHCHECK"] and f":{found['EXPOSE']}/" in found["HEALTHCHECK"]
    command = json.loads(found["CMD"])
    assert command[:3] == ["streamlit", "run", "app.py"]


def test_the_programs_of_the_probes_are_valid(instructions: list[tuple[str, str]], services: dict[str, Any]) -> None:
    probe = json.loads(dict(instructions)["HEALTHCHECK"].partition("CMD ")[2])
    for command in (probe, services["api"]["healthcheck"]["test"][1:]):
        assert command[:2] == ["python", "-c"]
        compile(command[2], "probe", "exec")


def test_the_services_fit_the_image_and_the_command_line(
    services: dict[str, Any], instructions: list[tuple[str, str]]
) -> None:
    assert services["dashboard"]["ports"] == [f"127.0.0.1:8501:{dict(instructions)['EXPOSE']}"]
    home = dict(pair.split("=") for pair in shlex.split(dict(instructions)["ENV"]))["DARKROOM_HOME"]
    for service in services.values():
        assert f"data:{home}" in service["volumes"] and service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        usual = Limits()
        assert int(service["stop_grace_period"].rstrip("s")) > usual.receive_s + usual.answer_s
    command = services["api"]["command"]
    options = build_parser().parse_args(["serve", "RUN", *command[5:]])
    assert command[:5] == ["python", "-m", "core", "serve", "${RUN:-}"]
    assert options.host == "0.0.0.0" and services["api"]["ports"] == [f"127.0.0.1:{options.port}:{options.port}"]
    assert f":{options.port}/readyz" in services["api"]["healthcheck"]["test"][3]
