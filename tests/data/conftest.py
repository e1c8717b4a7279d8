"""Running code as somebody who may not read everything: tests often run as root, whom permissions do not stop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.workspace import REPOSITORY

NOBODY = 65534
_START = """
import os, sys
from pathlib import Path
import core.data.datasets, core.data.probe
root = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgid({nobody})
    os.setuid({nobody})
"""


@pytest.fixture
def run_unprivileged() -> Iterator[Callable[[str, dict[str, int], dict[str, int]], str]]:
    """Calls `run(code, files, folders)`: makes files (path -> mode) below a new `root`, gives folders their modes, runs
    the code as an ordinary user with `root` set, and gives what it printed."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # pytest's own temporary folders are closed to other users
        root = Path(place) / "root"

        def run(code: str, files: dict[str, int], folders: dict[str, int]) -> str:
            for name, mode in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(b"not an image")
                (root / name).chmod(mode)
            for name, mode in folders.items():
                (root / name).chmod(mode)
            program = _START.format(nobody=NOBODY) + textwrap.dedent(code)
            done = subprocess.run(
                [sys.executable, "-c", program, str(root)], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run
        for folder in [root, *root.glob("*")] if root.exists() else []:
            if folder.is_dir():
                folder.chmod(0o755)
        shutil.rmtree(root, ignore_errors=True)
