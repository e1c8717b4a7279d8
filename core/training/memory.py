"""How much memory there is and was taken, and a limit that turns running out of it into an error one can handle."""

from __future__ import annotations

import os
import resource
import sys

import psutil
import torch

from core.training.batching.images import left_in_container

KEPT_FREE = 0.05  # of the machine's memory: for the system, the dashboard and the page cache


def free_bytes(device: torch.device) -> float:
    """Memory that training may still take: the GPU's, or for a CPU the machine's or the container's."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    machine = psutil.virtual_memory()
    return max(0.0, min(machine.available - KEPT_FREE * machine.total, left_in_container()))


def peak_bytes(device: torch.device) -> float:
    """The most this process has held at once, since its start: of the GPU's memory, or of the machine's."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)


def limit_to_free_memory() -> bool:
    """Refuse this process, from now on, more main memory than is free: whether that is done here.

    Without it Linux promises more than there is, and when the promise is called in, kills a process, any process; with
    it torch raises an error, and training goes on with smaller batches. Several processes on a machine get equal
    parts; a lower limit that is set already stays. Not where there is a GPU, whose driver maps more than it uses.
    """
    if not sys.platform.startswith("linux") or torch.cuda.is_available():
        return False
    held = psutil.Process().memory_info().data  # what RLIMIT_DATA counts: private memory that can be written
    wanted = held + int(free_bytes(torch.device("cpu")) / int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    for limit in (soft, hard):
        if limit != resource.RLIM_INFINITY:
            wanted = min(wanted, limit)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    return True
