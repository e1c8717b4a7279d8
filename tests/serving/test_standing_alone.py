"""`python -m core serve` as its users meet it: a process, its snippets pasted, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.serving import snippets
from core.serving.keys import Keys
from core.workspace import REPOSITORY, Workspace
from tests.running import darkroom, in_process
from tests.serving.served import CLASSES, colour_run, in_threads, picture
from tests.waiting import wait_until


class Served:
    """A server process and its address."""

    def __init__(self, workspace: Workspace, *arguments: str) -> None:
        command = [sys.executable, "-m", "core", "serve", *arguments, "--port", "0", "--json"]
        env = {**os.environ, **workspace.environment}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=env, **pipes)
        assert self.process.stderr is not None
        said: list[str] = []
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", said[-1] if said else "")):
            said.append(self.process.stderr.readline())
            assert said[-1], said
        self.url = found[0]
        wait_until(lambda: self.status("/readyz") == 200, "the server to be ready", 60)

    def get(self, path: str, **headers: str) -> bytes:
        asked = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.read()

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


@contextmanager
def serving(workspace: Workspace, *arguments: str) -> Iterator[Served]:
    served = Served(workspace, *arguments)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.communicate()


def test_snippets_work_when_pasted_and_what_was_taken_is_finished(workspace: Workspace, tmp_path: Path) -> None:
    run = colour_run(workspace)
    (tmp_path / "photo.jpg").write_bytes(picture(250, 10, 10, "JPEG"))
    (tmp_path / "other photo.png").write_bytes(picture(10, 10, 250))
    with serving(workspace, run.id) as served:

        def paste(command: list[str], **variables: str) -> str:
            done = subprocess.run(
                command, cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        def curl(with_key: bool, **variables: str) -> dict[str, Any]:
            text = snippets.curl(served.url, run.id, with_key)
            return json.loads(paste(["sh", "-c", text.replace("curl ", "curl -s ", 1)], **variables))

        def program(with_key: bool, *names: str, **variables: str) -> str:
            (tmp_path / "ask.py").write_text(snippets.python(served.url, run.id, with_key))
            return paste([sys.executable, "ask.py", *names], **variables)

        assert curl(False)["predictions"][0]["label"] == "red"
        assert program(False).startswith("photo.jpg is red (")
        key = {"DARKROOM_API_KEY": Keys(workspace).create("shop")[1]}
        assert "valid key" in curl(False)["error"]
        assert curl(True, **key)["predictions"][0]["label"] == "red"
        assert f"other photo.png is {CLASSES[2]} (" in program(True, "photo.jpg", "other photo.png", **key)
        metrics = served.get("/metrics", Authorization=f"Bearer {key['DARKROOM_API_KEY']}").decode()
        assert 'status="200"' in metrics and f'run="{run.id}"' in metrics
        assert served.status("/healthz") == served.status("/api/healthz") == served.status("/") == 200
        assert served.status("/metrics") == served.status("/api/v1/models") == 401

        # Sixty-four images are at work when the signal comes: their answer is still given.
        files = [part for number in range(64) for part in ("-F", f"files=@photo.jpg;filename={number}.jpg")]
        command = ["curl", "-s", "-H", f"Authorization: Bearer {key['DARKROOM_API_KEY']}", *files]
        command.append(f"{served.url}/api/v1/models/{run.id}/predict")
        asking = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE)
        was = threading.Event()

        def signalled() -> None:
            wait_until(lambda: asking.poll() is not None or was.is_set() or _connected(served, was), "the request", 30)
            served.process.send_signal(signal.SIGTERM)

        signalled()
        answer = json.loads(asking.communicate(timeout=60)[0])
        assert [row["label"] for row in answer["predictions"]] == ["red"] * 64
        last = served.process.communicate(timeout=60)[0].splitlines()[-1]
        assert served.process.returncode == 0 and json.loads(last) == {"url": served.url, "runs": [run.id]}


def _connected(served: Served, was: threading.Event) -> bool:
    import psutil

    port = int(served.url.rpartition(":")[2])
    open_now = psutil.Process(served.process.pid).net_connections("tcp")
    if any(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in open_now):
        was.set()
    return was.is_set()


def test_several_processes_share_the_port_and_add_up_their_counters(workspace: Workspace) -> None:
    run = colour_run(workspace)
    with serving(workspace, run.id, "--workers", "2") as served:
        in_threads([partial(served.get, "/api/v1/models")] * 24)
        text = served.get("/metrics").decode()
        counted = re.search(r'darkroom_requests_total\{route="/v1/models",status="200"\} (\S+)', text)
        assert counted is not None and float(counted[1]) == 24
        served.process.send_signal(signal.SIGINT)
        served.process.communicate(timeout=60)
        assert served.process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nope"], "There is no run"),
        (["RUN", "--workers", "0"], "1 to 256"),
        (["RUN", "--port", "70000"], "not a port"),
        (["RUN", "--queue", "0"], "above 0"),
        (["RUN", "--host", "203.0.113.7"], "cannot be listened on"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(workspace: Workspace, arguments: list[str], says: str) -> None:
    run = colour_run(workspace)
    done = in_process("serve", *(run.id if argument == "RUN" else argument for argument in arguments))
    assert done.status == 2 and says in done.errors and "Traceback" not in done.errors


def test_a_run_without_a_model_is_not_served(workspace: Workspace) -> None:
    run = colour_run(workspace)
    (run.bundle / "model.onnx").unlink()
    done = darkroom("serve", run.id, "--port", "0")
    assert done.status == 1 and "no ONNX graph" in done.errors
