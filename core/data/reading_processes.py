"""Starts the processes that read images; imports nothing slow, so that they can be started before all else."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from core.workspace import REPOSITORY, Workspace

_MAX_PROCESSES = 16  # beyond this the disk is the limit
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each process is one of many
_early: list[subprocess.Popen[str]] = []


def num_readers() -> int:
    """How many processes read at once."""
    return min(max(2, os.cpu_count() or 2), _MAX_PROCESSES)


def start_reader(root: Path, thumbnails: Path | None) -> subprocess.Popen[str]:
    """A process that answers as `core.data.probe.serve` does; one that was started early for the same, if there is."""
    command = _command(root, thumbnails)
    while _early:
        with suppress(IndexError):  # several threads ask at once
            process = _early.pop()
            if process.args == command and process.poll() is None:
                return process
            process.kill()
    return _start(command)


def start_readers_early(arguments: list[str]) -> None:
    """Have the readers start while the rest of this program does, where the command line is to index a folder.

    Those that are not needed after all end with this process.
    """
    if len(arguments) > 1 and arguments[0] == "index" and os.path.isdir(arguments[1]):
        command = _command(Path(os.path.realpath(arguments[1])), Workspace.default().thumbnails)
        _early.extend(_start(command) for _ in range(num_readers()))


def _command(root: Path, thumbnails: Path | None) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "core.data.probe", str(root), str(thumbnails or "")]


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=os.environ | _ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
