"""Darkroom's command line as tests run it: a real process, its exit status and its last line."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from core import jobs
from core.__main__ import main
from core.config import TrainConfig
from core.files import write_json
from core.jobs import ProcessIdentity
from core.runs.model_size import RESULT as SIZE
from core.runs.model_size import ModelSize, size_folder
from core.workspace import REPOSITORY, Workspace

# A tiny from-scratch training: about a second beside the import of torch.
SMALL = {
    "preset": "from-scratch",
    "preprocess.image_size": 16,
    "optim.epochs": 6,
    "optim.batch_size": 16,
    "stop.patience": 0,
}
SMALL_FLAGS = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]


@dataclass(frozen=True)
class Done:
    """A finished command."""

    status: int
    result: dict[str, Any]
    errors: str


def darkroom(*arguments: object, home: Path | None = None, environment: dict[str, str] | None = None) -> Done:
    """Run `python -m core ARGUMENTS --json`; `home` names another workspace than the environment's."""
    variables = os.environ | ({"DARKROOM_HOME": str(home)} if home else {}) | (environment or {})
    command = [sys.executable, "-m", "core", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    return Done(done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr)


def in_process(*arguments: object) -> Done:
    """The same without a process of its own, which takes seconds to start; for verbs that start none themselves."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main([*map(str, arguments), "--json"])
    lines = out.getvalue().splitlines()
    return Done(status, json.loads(lines[-1]) if lines else {}, errors.getvalue())


def know_size(workspace: Workspace, config: TrainConfig, num_classes: int) -> None:
    """Leave a count of parameters as its helper would; the count itself is another test's business."""
    folder = size_folder(workspace, config, num_classes)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SIZE, asdict(ModelSize(1_234_567, 7_654, "")))


def free_port() -> int:
    """A port of this machine that nobody listened on just now.

    Below those that systems hand out themselves, or a browser's next connection might take it before it is used.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def in_two_processes(work: Callable[[int, int, str], None], folder: Path) -> None:
    """Call `work(rank, port, folder)` in two processes that may compute gradients; see `worker_context`."""
    from torch.multiprocessing import start_processes  # most tests do without torch

    worker_context()
    start_processes(work, (free_port(), str(folder)), nprocs=2, start_method="forkserver")


def worker_context() -> ForkServerContext:
    """Starts worker processes forked from one that has loaded what they would load for seconds.

    Not from the tests' own process: once it has computed gradients, no fork of it can. The environment is that of the
    first process started so; hand over what it must know.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warm"])
    return context


def launch_forked(
    folder: Path, module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> ProcessIdentity:
    """`jobs.launch` with a fork of `worker_context` in place of a new Python; see the fixture `forked_jobs`."""
    ours, theirs = multiprocessing.Pipe()
    variables = {**os.environ, **Workspace.default().environment, **(environment or {})}
    program = (str(folder / jobs.LOG), variables, module, *arguments)
    process = worker_context().Process(target=_leave_behind, args=(theirs, *program))
    process.start()
    pid = ours.recv()
    process.join()
    identity = jobs.identify(pid) or ProcessIdentity(pid, time.time())
    write_json(folder / jobs.PROCESS, asdict(identity))
    return identity


def _leave_behind(note: Connection, log: str, variables: dict[str, str], *command: str) -> None:
    """Run a program in a process nobody waits for, as a launched one is."""
    if pid := os.fork():
        note.send(pid)
        return
    os.setsid()
    os.chdir(REPOSITORY)
    with open(log, "ab") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    os.execve = lambda _, become, environment: _program(environment, *become[2:])  # type: ignore[assignment]
    _program(variables, *command)


def _program(variables: Mapping[str, str], module: str, *arguments: str) -> None:
    """What `python -m module arguments...` does once it is loaded."""
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
