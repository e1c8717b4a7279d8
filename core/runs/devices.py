"""Which device training will use, found without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import psutil

from core.onnx_runtime import num_cores


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
    return _first_gpu() or Device("cpu", "CPU", psutil.virtual_memory().total, num_cores())


def _first_gpu() -> Device | None:
    """The first GPU that CUDA_VISIBLE_DEVICES leaves, or None where the driver is missing or answers with an error."""
    import pynvml

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    if visible in ("", "-1"):
        return None
    try:
        pynvml.nvmlInit()
        by_index = visible.isdigit()
        handle = (
            pynvml.nvmlDeviceGetHandleByIndex(int(visible)) if by_index else pynvml.nvmlDeviceGetHandleByUUID(visible)
        )
        name = str(pynvml.nvmlDeviceGetName(handle))
    except pynvml.NVMLError:
        return None
    try:
        memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError:  # GPUs that share the machine's memory have none of their own to tell
        memory = psutil.virtual_memory().total
    return Device("cuda", name, memory, num_cores())
