"""Which device training will use, found without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import psutil


@dataclass(frozen=True)
class Device:
    """What training runs on.

    Attributes:
        name: `NVIDIA A10` or `CPU`.
        memory_bytes: the GPU's memory, or the machine's for a CPU.
        num_cores: CPU cores this process may use.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int
    num_cores: int


def training_device() -> Device:
    """The first GPU the NVIDIA driver knows, else the CPU."""
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _first_gpu(num_cores) or Device("cpu", "CPU", psutil.virtual_memory().total, num_cores)


def _first_gpu(num_cores: int) -> Device | None:
    import pynvml

    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, no GPU
        return None
    try:
        if pynvml.nvmlDeviceGetCount() == 0:
            return None
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
        return Device("cuda", str(pynvml.nvmlDeviceGetName(handle)), memory, num_cores)
    finally:
        pynvml.nvmlShutdown()
