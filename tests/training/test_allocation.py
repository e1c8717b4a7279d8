"""Memory that is kept is not asked of the system again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.workspace import REPOSITORY

_PROGRAM = """
import resource, sys
import numpy as np
from core.training.loop.allocation import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = np.full(128 * 2**20, 1, np.uint8)
    del block
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has this setting")
def test_a_block_taken_again_costs_no_page_faults() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, how]
        return int(subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout)

    assert faults("keep") < 10 < faults("leave")
